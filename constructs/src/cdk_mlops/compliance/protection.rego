# Data protection in templates.
#
# MLOPS-DATA-1  encryption at rest is set, not left to a service's default
# MLOPS-DATA-2  over TLS only
# MLOPS-DATA-3  public access blocked
# MLOPS-DATA-4  buckets keep old versions
# MLOPS-DATA-5  keys rotate
package cdk_mlops.protection

import rego.v1

# Types that hold data, and the properties of which one says how they encrypt it.
encrypted_by := {
	"AWS::CloudTrail::Trail": ["KMSKeyId"],
	"AWS::CodePipeline::Pipeline": ["ArtifactStore.EncryptionKey", "ArtifactStores"],
	"AWS::DynamoDB::Table": ["SSESpecification.SSEEnabled"],
	"AWS::EC2::Volume": ["Encrypted"],
	"AWS::ECR::Repository": ["EncryptionConfiguration"],
	"AWS::EFS::FileSystem": ["Encrypted"],
	"AWS::Kinesis::Stream": ["StreamEncryption"],
	"AWS::RDS::DBCluster": ["StorageEncrypted"],
	"AWS::S3::Bucket": ["BucketEncryption.ServerSideEncryptionConfiguration"],
	"AWS::SageMaker::Domain": ["KmsKeyId"],
	"AWS::SageMaker::EndpointConfig": ["KmsKeyId"],
	"AWS::SageMaker::FeatureGroup": ["OfflineStoreConfig.S3StorageConfig.KmsKeyId", "OnlineStoreConfig.SecurityConfig.KmsKeyId"],
	"AWS::SageMaker::NotebookInstance": ["KmsKeyId"],
	"AWS::SNS::Topic": ["KmsMasterKeyId"],
	"AWS::SQS::Queue": ["KmsMasterKeyId", "SqsManagedSseEnabled"],
}

# The type of policy by which a resource refuses plain HTTP, and the property that says whose it is.
closed_by := {
	"AWS::S3::Bucket": {"type": "AWS::S3::BucketPolicy", "property": "Bucket"},
	"AWS::SNS::Topic": {"type": "AWS::SNS::TopicPolicy", "property": "Topics"},
	"AWS::SQS::Queue": {"type": "AWS::SQS::QueuePolicy", "property": "Queues"},
}

blocks := {"BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"}

as_list(value) := value if is_array(value)

as_list(value) := [value] if not is_array(value)

is_true(value) if value == true

is_true(value) if value == "true"

# Neither left out nor switched off.
set_in(properties, path) if {
	value := object.get(properties, split(path, "."), null)
	not value in {null, false, "false", ""}
}

encrypts(properties, paths) if {
	some path in paths
	set_in(properties, path)
}

violation contains v if {
	some name, resource in input.resources
	paths := encrypted_by[resource.resourceType]
	not encrypts(resource.properties, paths)
	v := make_diag_at(
		"MLOPS-DATA-1", "ERROR", name, sprintf("Properties.%s", [paths[0]]),
		sprintf("%s doesn't say how it encrypts what it holds; set %s", [resource.resourceType, concat(" or ", paths)]),
	)
}

refers_to(value, name) if value.__ref == name

refers_to(value, name) if {
	some property in {"BucketName", "TopicName", "QueueName"}
	value == input.resources[name].properties[property]
}

refuses_plain_http(statement) if {
	statement.Effect == "Deny"
	everybody(statement.Principal)
	some value in as_list(statement.Condition.Bool["aws:SecureTransport"])
	value in {"false", false}
}

everybody(principal) if principal == "*"

everybody(principal) if {
	some one in as_list(principal.AWS)
	one == "*"
}

tls_only(name, closing) if {
	some policy in input.resources
	policy.resourceType == closing.type
	some one in as_list(policy.properties[closing.property])
	refers_to(one, name)
	some statement in as_list(policy.properties.PolicyDocument.Statement)
	refuses_plain_http(statement)
}

violation contains v if {
	some name, resource in input.resources
	closing := closed_by[resource.resourceType]
	not tls_only(name, closing)
	v := make_diag_at(
		"MLOPS-DATA-2", "ERROR", name, "Properties",
		sprintf("%s can be used over plain HTTP; deny where aws:SecureTransport is false (enforce_ssl)", [resource.resourceType]),
	)
}

violation contains v if {
	some name, resource in input.resources
	resource.resourceType == "AWS::S3::Bucket"
	some block in blocks
	not is_true(object.get(resource.properties, ["PublicAccessBlockConfiguration", block], null))
	v := make_diag_at(
		"MLOPS-DATA-3", "ERROR", name, sprintf("Properties.PublicAccessBlockConfiguration.%s", [block]),
		"the bucket could be made public; block all public access",
	)
}

violation contains v if {
	some name, resource in input.resources
	resource.resourceType == "AWS::S3::Bucket"
	object.get(resource.properties, ["VersioningConfiguration", "Status"], null) != "Enabled"
	v := make_diag_at(
		"MLOPS-DATA-4", "ERROR", name, "Properties.VersioningConfiguration",
		"what is overwritten or deleted is gone; keep old versions",
	)
}

# Only symmetric keys, the default, can rotate by themselves.
symmetric(properties) if object.get(properties, "KeySpec", "SYMMETRIC_DEFAULT") == "SYMMETRIC_DEFAULT"

violation contains v if {
	some name, resource in input.resources
	resource.resourceType == "AWS::KMS::Key"
	symmetric(resource.properties)
	not is_true(object.get(resource.properties, "EnableKeyRotation", null))
	v := make_diag_at(
		"MLOPS-DATA-5", "ERROR", name, "Properties.EnableKeyRotation",
		"the key never changes; let it rotate every year",
	)
}
