# Least privilege in templates: identity policies, trust policies, and the policies of resources.
#
# MLOPS-IAM-1  no managed policy of AWS
# MLOPS-IAM-2  no wildcard in an action
# MLOPS-IAM-3  no Resource "*" without a condition, but for actions that know no resource
# MLOPS-IAM-4  no NotAction, NotResource or NotPrincipal that allows
# MLOPS-IAM-5  one service in a trust policy, and nobody beside it
# MLOPS-IAM-6  nothing is open to everybody
# MLOPS-IAM-7  a role that may be passed is named, and so is the service that gets it
package cdk_mlops.permissions

import rego.v1

holders := {"AWS::IAM::Role", "AWS::IAM::User", "AWS::IAM::Group"}

attached := {
	"AWS::IAM::Policy",
	"AWS::IAM::ManagedPolicy",
	"AWS::IAM::RolePolicy",
	"AWS::IAM::UserPolicy",
	"AWS::IAM::GroupPolicy",
}

# Where each type of resource keeps its own policy.
owned := {
	"AWS::ECR::Repository": "RepositoryPolicyText",
	"AWS::KMS::Key": "KeyPolicy",
	"AWS::S3::BucketPolicy": "PolicyDocument",
	"AWS::SageMaker::ModelPackageGroup": "ModelPackageGroupPolicy",
	"AWS::SecretsManager::ResourcePolicy": "ResourcePolicy",
	"AWS::SNS::TopicPolicy": "PolicyDocument",
	"AWS::SQS::QueuePolicy": "PolicyDocument",
}

# Actions for which "*" is the only resource there is: in the service authorization reference their column of
# resource types is empty. https://docs.aws.amazon.com/service-authorization/latest/reference/ + the page named.
knows_no_resource := {
	"cloudwatch:PutMetricData": "list_amazoncloudwatch.html",
	"ec2:DescribeDhcpOptions": "list_amazonec2.html",
	"ec2:DescribeNetworkInterfaces": "list_amazonec2.html",
	"ec2:DescribeSecurityGroups": "list_amazonec2.html",
	"ec2:DescribeSubnets": "list_amazonec2.html",
	"ec2:DescribeVpcs": "list_amazonec2.html",
	"ecr:GetAuthorizationToken": "list_amazonelasticcontainerregistry.html",
	"sagemaker:ListModels": "list_amazonsagemaker.html",
	"sts:GetCallerIdentity": "list_awssecuritytokenservice.html",
	"xray:PutTelemetryRecords": "list_awsx-ray.html",
	"xray:PutTraceSegments": "list_awsx-ray.html",
}

as_list(value) := value if is_array(value)

as_list(value) := [value] if not is_array(value)

# A text with what is only known at deployment marked in it.
text(value) := value if is_string(value)

text(value) := object.get(value, "__dynamic", json.marshal(value)) if is_object(value)

identity contains found if {
	some name, resource in input.resources
	resource.resourceType in holders
	some i, policy in resource.properties.Policies
	some j, statement in as_list(policy.PolicyDocument.Statement)
	found := {
		"name": name,
		"path": sprintf("Properties.Policies.%d.PolicyDocument.Statement.%d", [i, j]),
		"statement": statement,
	}
}

identity contains found if {
	some name, resource in input.resources
	resource.resourceType in attached
	some i, statement in as_list(resource.properties.PolicyDocument.Statement)
	found := {"name": name, "path": sprintf("Properties.PolicyDocument.Statement.%d", [i]), "statement": statement}
}

trusts contains found if {
	some name, resource in input.resources
	resource.resourceType == "AWS::IAM::Role"
	some i, statement in as_list(resource.properties.AssumeRolePolicyDocument.Statement)
	found := {
		"name": name,
		"path": sprintf("Properties.AssumeRolePolicyDocument.Statement.%d", [i]),
		"statement": statement,
	}
}

of_resources contains found if {
	some name, resource in input.resources
	property := owned[resource.resourceType]
	some i, statement in as_list(resource.properties[property].Statement)
	found := {
		"name": name,
		"path": sprintf("Properties.%s.Statement.%d", [property, i]),
		"statement": statement,
	}
}

allowing(found) := {one | some one in found; one.statement.Effect == "Allow"}

actions(statement) := {text(action) | some action in as_list(statement.Action)}

conditioned(statement) if count(object.get(statement, "Condition", {})) > 0

called(statement) := object.get(statement, "Sid", concat(", ", sort(actions(statement))))

violation contains v if {
	some name, resource in input.resources
	resource.resourceType in holders
	some i, managed in as_list(resource.properties.ManagedPolicyArns)
	contains(text(managed), ":iam::aws:policy/")
	v := make_diag_at(
		"MLOPS-IAM-1", "ERROR", name,
		sprintf("Properties.ManagedPolicyArns.%d", [i]),
		sprintf("AWS changes what %s allows, and it is wider than one purpose; write the policy", [text(managed)]),
	)
}

violation contains v if {
	some one in allowing(identity)
	some action in actions(one.statement)
	contains(action, "*")
	v := make_diag_at(
		"MLOPS-IAM-2", "ERROR", one.name, sprintf("%s.Action", [one.path]),
		sprintf("'%s' allows actions that nobody listed, and those that AWS adds; name each action", [action]),
	)
}

# AWS asks for one such statement: a key policy that gives the key to its account's IAM policies.
# https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
gives_key_to_account(statement) if {
	actions(statement) == {"kms:*"}
	principal := text(statement.Principal.AWS)
	endswith(principal, ":root")
}

violation contains v if {
	some one in allowing(of_resources)
	some action in actions(one.statement)
	endswith(action, "*")
	contains(action, ":*") # a service as a whole; a key's users need kms:ReEncrypt* and the like
	not gives_key_to_account(one.statement)
	v := make_diag_at(
		"MLOPS-IAM-2", "ERROR", one.name, sprintf("%s.Action", [one.path]),
		sprintf("'%s' lets others do everything with it; name each action", [action]),
	)
}

violation contains v if {
	some one in allowing(identity)
	"*" in as_list(one.statement.Resource)
	not conditioned(one.statement)
	some action in actions(one.statement)
	not action in object.keys(knows_no_resource)
	v := make_diag_at(
		"MLOPS-IAM-3", "ERROR", one.name, sprintf("%s.Resource", [one.path]),
		sprintf("'%s' is allowed on every resource; name the resource, or a condition", [action]),
	)
}

violation contains v if {
	some one in allowing((identity | trusts) | of_resources)
	some key in {"NotAction", "NotResource", "NotPrincipal"}
	object.get(one.statement, key, null) != null
	v := make_diag_at(
		"MLOPS-IAM-4", "ERROR", one.name, sprintf("%s.%s", [one.path, key]),
		sprintf("%s allows all that is not named; name what is allowed", [key]),
	)
}

services(name) := {text(service) |
	some one in allowing(trusts)
	one.name == name
	some service in as_list(one.statement.Principal.Service)
}

others(name) := {kind |
	some one in allowing(trusts)
	one.name == name
	some kind in {"AWS", "Federated", "CanonicalUser"}
	one.statement.Principal[kind]
}

violation contains v if {
	some name, resource in input.resources
	resource.resourceType == "AWS::IAM::Role"
	count(services(name)) > 1
	v := make_diag_at(
		"MLOPS-IAM-5", "ERROR", name, "Properties.AssumeRolePolicyDocument",
		sprintf("%s share the role; give each a role of its own", [concat(" and ", sort(services(name)))]),
	)
}

violation contains v if {
	some name, resource in input.resources
	resource.resourceType == "AWS::IAM::Role"
	count(services(name)) > 0
	count(others(name)) > 0
	v := make_diag_at(
		"MLOPS-IAM-5", "ERROR", name, "Properties.AssumeRolePolicyDocument",
		sprintf("%s shares the role with accounts or people; give them a role of their own", [concat(" and ", sort(services(name)))]),
	)
}

everybody(principal) if principal == "*"

everybody(principal) if {
	some one in as_list(principal.AWS)
	one == "*"
}

violation contains v if {
	some one in allowing(trusts | of_resources)
	everybody(one.statement.Principal)
	not conditioned(one.statement)
	v := make_diag_at(
		"MLOPS-IAM-6", "ERROR", one.name, sprintf("%s.Principal", [one.path]),
		sprintf("%s is open to everybody; name who may, or a condition", [called(one.statement)]),
	)
}

violation contains v if {
	some one in allowing(identity)
	"iam:PassRole" in actions(one.statement)
	some role in as_list(one.statement.Resource)
	endswith(text(role), "*")
	v := make_diag_at(
		"MLOPS-IAM-7", "ERROR", one.name, sprintf("%s.Resource", [one.path]),
		sprintf("'%s' lets it pass on roles that nobody named; name the role", [text(role)]),
	)
}

violation contains v if {
	some one in allowing(identity)
	"iam:PassRole" in actions(one.statement)
	not to_one_service(one.statement)
	v := make_diag_at(
		"MLOPS-IAM-7", "ERROR", one.name, sprintf("%s.Condition", [one.path]),
		"a role can be passed to any service; say to which by iam:PassedToService",
	)
}

to_one_service(statement) if {
	some operator in {"StringEquals", "ForAllValues:StringEquals", "StringLike"}
	statement.Condition[operator]["iam:PassedToService"]
}
