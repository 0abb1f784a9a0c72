"""Job roles and people's roles: what they may do, and what not."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from aws_cdk import aws_iam as iam

from cdk_mlops import (
    DataScientistRole,
    JobNetwork,
    ModelNames,
    OperatorRole,
    SageMakerPipeline,
    StageDataBucket,
    TrainRole,
)
from tests.library.library_app import (
    DEV,
    MAMMO,
    NETWORK,
    PROD,
    REGISTRY,
    add_stage,
    model,
    new_stack,
    only,
    resources,
    stage_template,
    statements,
    template_of,
)


def job_role(kind: str, vpc: bool = False) -> dict[str, Any]:
    return only(stage_template("prod", vpc=vpc), "AWS::IAM::Role", f"{kind}Role")


def text_of(sid: str, kind: str = "Train") -> str:
    return json.dumps(statements(job_role(kind))[sid])


@pytest.mark.parametrize("kind", ["Train", "Inference"])
def test_sagemaker_assumes_a_job_role_for_this_account_only(kind: str) -> None:
    role = job_role(kind)
    assert role["RoleName"] == f"mammo-severity-prod-{kind.lower()}"
    assert role["Path"] == f"/mlops/prod/{kind.lower()}/"
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "sagemaker.amazonaws.com"}
    assert trust["Condition"]["StringEquals"] == {"aws:SourceAccount": PROD}
    assert (
        trust["Condition"]["ArnLike"]["aws:SourceArn"]["Fn::Join"][1][-1] == f":sagemaker:eu-west-1:{PROD}:*"
    )


@pytest.mark.parametrize("kind", ["Train", "Inference"])
def test_a_job_role_passes_only_itself_and_only_to_sagemaker(kind: str) -> None:
    statement = statements(job_role(kind))["PassItself"]
    name = f"role/mlops/prod/{kind.lower()}/mammo-severity-prod-{kind.lower()}"
    assert statement["Resource"]["Fn::Join"][1][-1] == f":iam::{PROD}:{name}"
    assert statement["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}


@pytest.mark.parametrize(
    ("kind", "jobs"), [("Train", ("processing", "training")), ("Inference", ("processing", "transform"))]
)
def test_a_job_role_runs_only_its_models_jobs(kind: str, jobs: tuple[str, ...]) -> None:
    found = [
        one["Fn::Join"][1][-1].split(":")[-1] for one in statements(job_role(kind))["OwnJobs"]["Resource"]
    ]
    assert found == [f"{job}-job/mammo-severity-{kind.lower()}-*" for job in jobs]


def keys_of(*places: str) -> list[str]:
    """Return the two forms of a key's ARN, for the owner and the alias of each key."""
    return [
        f":kms:eu-west-1:{account}:{name}"
        for account, alias in zip(places[::2], places[1::2], strict=True)
        for name in (alias, "key/*")
    ]


@pytest.mark.parametrize(
    ("kind", "job", "outputs"),
    [
        ("Train", "Processing", keys_of(PROD, "alias/mlops-prod-data", REGISTRY, "alias/mlops-artifacts")),
        ("Train", "Training", keys_of(PROD, "alias/mlops-prod-data", REGISTRY, "alias/mlops-artifacts")),
        ("Inference", "Processing", keys_of(PROD, "alias/mlops-prod-data")),
        ("Inference", "Transform", keys_of(PROD, "alias/mlops-prod-data")),
    ],
)
def test_a_job_is_created_only_with_the_stages_key_for_its_volume_and_one_of_ours_for_its_outputs(
    kind: str, job: str, outputs: list[str]
) -> None:
    found = statements(job_role(kind))[f"Create{job}Jobs"]
    assert found["Action"] == f"sagemaker:Create{job}Job"
    required = found["Condition"]["ArnLike"]
    ends = {key: [arn["Fn::Join"][1][-1] for arn in value] for key, value in required.items()}
    assert ends == {
        "sagemaker:VolumeKmsKeyArn": keys_of(PROD, "alias/mlops-prod-data"),
        "sagemaker:OutputKmsKeyArn": outputs,
    }


@pytest.mark.parametrize(
    ("kind", "sid", "flags"),
    [
        ("Train", "CreateProcessingJobs", {"NetworkIsolation", "InterContainerTrafficEncryption"}),
        ("Train", "CreateTrainingJobs", {"NetworkIsolation", "InterContainerTrafficEncryption"}),
        ("Inference", "CreateProcessingJobs", {"NetworkIsolation", "InterContainerTrafficEncryption"}),
        ("Inference", "CreateModels", {"NetworkIsolation"}),
    ],
)
@pytest.mark.parametrize("vpc", [False, True])
def test_a_job_is_created_only_isolated_and_in_the_network_where_there_is_one(
    kind: str, sid: str, flags: set[str], vpc: bool
) -> None:
    found = dict(statements(job_role(kind, vpc=vpc))[sid]["Condition"])
    found.pop("ArnLike", None)
    expected: dict[str, Any] = {"Bool": {f"sagemaker:{flag}": "true" for flag in flags}}
    if vpc:
        places = {
            "sagemaker:VpcSubnets": list(NETWORK.subnets),
            "sagemaker:VpcSecurityGroupIds": list(NETWORK.security_groups),
        }
        expected |= {"ForAllValues:StringEquals": places, "Null": dict.fromkeys(places, "false")}
    assert found == expected


def test_every_way_to_create_a_job_or_a_model_has_a_condition() -> None:
    for kind in ("Train", "Inference"):
        for sid, one in statements(job_role(kind)).items():
            created = re.findall(r"sagemaker:Create(\w+Job|Model)\b", json.dumps(one["Action"]))
            # The last names versions: the model that is made of one is what the others are about.
            assert not created or "Condition" in one or sid == "CreateModelOfVersion", sid


def test_processing_jobs_may_do_without_isolation_where_their_container_needs_it_but_not_without_the_rest() -> (
    None
):
    stack = new_stack()
    stage = add_stage(stack, "dev")
    TrainRole(
        stack,
        "Train",
        model=MAMMO,
        stage="dev",
        data_bucket=stage.data,
        registry=stage.registry,
        isolated_processing=False,
    )
    found = statements(only(template_of(stack), "AWS::IAM::Role", "Train"))
    assert found["CreateProcessingJobs"]["Condition"]["Bool"] == {
        "sagemaker:InterContainerTrafficEncryption": "true"
    }
    assert found["CreateTrainingJobs"]["Condition"]["Bool"]["sagemaker:NetworkIsolation"] == "true"


def test_the_train_role_registers_versions_only_as_waiting_and_never_approves() -> None:
    found = statements(job_role("Train"))
    assert found["RegisterAsWaiting"]["Condition"] == {
        "StringEquals": {"sagemaker:ModelApprovalStatus": "PendingManualApproval"},
        "Null": {"sagemaker:ModelLifeCycle:stage": "true"},
    }
    assert found["NeverApprove"] == {
        "Sid": "NeverApprove",
        "Effect": "Deny",
        "Action": "sagemaker:UpdateModelPackage",
        "Resource": "*",
    }


def test_the_inference_role_neither_registers_nor_approves() -> None:
    found = statements(job_role("Inference"))
    assert found["NeverRegister"]["Effect"] == "Deny"
    allowed = [one for one in found.values() if one["Effect"] == "Allow"]
    assert "CreateModelPackage" not in json.dumps(allowed)
    assert "UpdateModelPackage" not in json.dumps(allowed)


def test_the_inference_role_makes_models_of_its_own_name_and_looks_into_no_version() -> None:
    assert "model/mammo-severity-inference-*" in text_of("CreateModels", "Inference")
    assert "model/mammo-severity-inference-*" in text_of("OwnModels", "Inference")
    allowed = [one for one in statements(job_role("Inference")).values() if one["Effect"] == "Allow"]
    assert ":model-package" not in json.dumps(allowed)


def test_the_train_role_writes_its_runs_and_its_stages_artifacts_only() -> None:
    assert text_of("RunWrite").count("/mammography-severity-model/train/*") == 1
    assert text_of("ArtifactsWrite").count("/mammography-severity-model/prod/*") == 1
    writing = [sid for sid, one in statements(job_role("Train")).items() if "s3:PutObject" in one["Action"]]
    assert writing == ["RunWrite", "ArtifactsWrite"]


def test_the_inference_role_writes_its_runs_only_and_decrypts_artifacts_only() -> None:
    found = statements(job_role("Inference"))
    assert [sid for sid, one in found.items() if "s3:PutObject" in one["Action"]] == ["RunWrite"]
    assert found["ArtifactsKeyUse"]["Action"] == "kms:Decrypt"


def test_runs_and_checks_of_inference_are_written_beside_each_other_and_training_writes_no_check() -> None:
    for sid in ("RunWrite", "DataRead"):
        assert text_of(sid, "Inference").count("/mammography-severity-model/checks/*") == 1
    assert text_of("RunWrite", "Inference").count("/mammography-severity-model/inference/*") == 1
    assert "/checks/" not in json.dumps(job_role("Train"))


def test_a_job_role_calls_only_the_steps_functions() -> None:
    statement = statements(job_role("Train"))["RunSteps"]
    assert statement["Action"] == "lambda:InvokeFunction"
    assert [one["Fn::GetAtt"][0][:22] for one in statement["Resource"]] == [
        "mammoseverityResolverF",
        "mammoseverityRecorderF",
    ]


def test_network_interfaces_are_allowed_only_in_the_subnets_of_the_settings() -> None:
    assert "ec2:" not in json.dumps(job_role("Train"))
    found = statements(job_role("Train", vpc=True))
    assert "subnet/subnet-0123456789abcdef1" in json.dumps(found["CreateInterface"]["Resource"])
    assert "ec2:Subnet" in json.dumps(found["UseInterface"]["Condition"])
    assert all("Describe" in action for action in found["LookAtNetworkKnowsNoResource"]["Action"])


@pytest.mark.parametrize(
    ("props", "message"),
    [
        ({"subnets": (), "security_groups": ("sg-01234567",)}, "subnets must hold at least one id"),
        (
            {"subnets": ("subnet-01234567",), "security_groups": ("subnet-01234567",)},
            "security_groups must hold ids",
        ),
    ],
)
def test_fails_for_a_network_that_cant_be(props: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        JobNetwork(**props)


def test_a_prefix_has_at_most_32_characters() -> None:
    assert ModelNames(prefix="a" * 32, model_name="m", package_group="g")


@pytest.mark.parametrize("prefix", ["", "a" * 33, "Mammo", "mammo_severity", "-mammo", "mammo-"])
def test_fails_for_a_prefix_that_cant_begin_a_name(prefix: str) -> None:
    with pytest.raises(
        ValueError, match="prefix must be 1 to 32 lower-case letters, digits and inner hyphens"
    ):
        ModelNames(prefix=prefix, model_name="m", package_group="g")


def people(kind: type[DataScientistRole] | type[OperatorRole], **props: Any) -> dict[str, Any]:
    stack = new_stack()
    data = StageDataBucket(stack, "Data", stage="dev")
    principals = [f"arn:aws:iam::{DEV}:user/ada"]
    more = {"models": [MAMMO]} if kind is OperatorRole else {}
    role = kind(
        stack, "People", **{"stage": "dev", "principals": principals, "data_bucket": data, **more, **props}
    )
    role.allow(SageMakerPipeline.from_pipeline_name(stack, "Pipeline", "mammo-severity-train-pipeline"))
    return template_of(stack)


@pytest.mark.parametrize(
    ("kind", "name"), [(DataScientistRole, "data-scientist"), (OperatorRole, "operator")]
)
def test_people_assume_their_role_with_multi_factor_authentication(kind: Any, name: str) -> None:
    role = only(people(kind), "AWS::IAM::Role")
    assert (role["RoleName"], role["Path"]) == (f"mlops-dev-{name}", f"/mlops/dev/{name}/")
    assert role["AssumeRolePolicyDocument"]["Statement"][0]["Condition"] == {
        "Bool": {"aws:MultiFactorAuthPresent": "true"}
    }


def test_people_start_only_the_pipelines_they_are_allowed() -> None:
    document = only(people(OperatorRole), "AWS::IAM::Policy")["PolicyDocument"]["Statement"]
    start = [one for one in document if "sagemaker:StartPipelineExecution" in one["Action"]]
    assert len(start) == 1
    assert start[0]["Resource"]["Fn::Join"][1][-1].endswith(":pipeline/mammo-severity-train-pipeline")


def test_operators_read_results_and_alerts_of_their_models_but_no_training_data() -> None:
    document = only(people(OperatorRole), "AWS::IAM::Policy")["PolicyDocument"]["Statement"]
    read = next(one for one in document if one["Action"] == "s3:GetObject")
    assert [one["Fn::Join"][1][-1].split("/", 1)[1] for one in read["Resource"]] == [
        "mammography-severity-model/inference/*",
        "mammography-severity-model/quality/*",
        "mammography-severity-model/state/*",
        "_unknown/state/alerts/*",
    ]


def test_operators_of_fifty_models_have_policies_that_iam_takes() -> None:
    template = people(OperatorRole, models=[model(number) for number in range(50)])
    for kind, limit in (("AWS::IAM::Policy", 10_240), ("AWS::IAM::ManagedPolicy", 6_144)):
        for resource in resources(template, kind).values():
            document = json.dumps(resource["Properties"]["PolicyDocument"], separators=(",", ":"))
            assert len(document) <= limit
    assert "model-49/state/*" in json.dumps(template)


def test_an_existing_studio_role_gets_the_same_permissions() -> None:
    stack = new_stack()
    data = StageDataBucket(stack, "Data", stage="dev")
    studio = iam.Role.from_role_arn(stack, "Studio", f"arn:aws:iam::{DEV}:role/studio")
    DataScientistRole.from_role(stack, "People", role=studio, data_bucket=data)
    assert only(template_of(stack), "AWS::IAM::Policy")["Roles"] == ["studio"]


def test_fails_for_a_people_role_without_people() -> None:
    with pytest.raises(ValueError, match="principals must name who may assume the role"):
        people(OperatorRole, principals=[])


def test_fails_for_operators_of_no_model() -> None:
    with pytest.raises(ValueError, match="models must name whose results are read, got none"):
        people(OperatorRole, models=[])


def test_fails_for_a_person_who_is_no_arn() -> None:
    with pytest.raises(ValueError, match="principals must be the ARN of a user"):
        people(DataScientistRole, principals=["ada"])


def test_the_models_names_stay_within_the_length_of_a_roles_name() -> None:
    assert len(f"{'a' * 32}-{'b' * 16}-data-scientist") <= 64
    assert len(MAMMO.prefix) <= 32
