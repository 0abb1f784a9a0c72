"""An installation whose jobs run in networks made for them, and which delivers its predictions despite drift."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_cloud.deployer import deploy, destroy
from ops import runs
from stacks.branch import Branch
from tests.integration.loop import Loop, is_denied
from tests.stacks.installations import synthesized

pytestmark = [pytest.mark.cloud, pytest.mark.xdist_group("integration-b")]

SETTINGS = {
    "models": [{"folder": "mammography"}],
    "network": {"create": True, "interface_endpoints": ["logs"], "s3_prefix_list": "pl-63a5400a"},
    "audit": {"data_events": True},
    "predictions_on_drift": "deliver",
}
Request = dict[str, Any]
KINDS = {"ProcessingJob": "processing_job", "TrainingJob": "training_job", "TransformJob": "transform_job"}


@pytest.fixture(scope="module")
def inside(files: Path) -> Iterator[Loop]:
    """Version 1 is trained in dev, in its network, and approved; there is no training data in prod."""
    with Loop.installed(SETTINGS, files) as installed:
        installed.upload("dev")
        installed.train_and_approve()
        yield installed


@pytest.fixture(scope="module")
def place(inside: Loop) -> Request:
    """The network of dev's jobs, as EC2 knows it."""
    ec2 = inside.client("dev", "ec2")
    ours = [{"Name": "tag:Name", "Values": ["mlops-dev-jobs*"]}]
    return {
        "Subnets": sorted(one["SubnetId"] for one in ec2.describe_subnets(Filters=ours)["Subnets"]),
        "SecurityGroupIds": [
            one["GroupId"] for one in ec2.describe_security_groups(Filters=ours)["SecurityGroups"]
        ],
    }


@pytest.fixture(scope="module")
def created(inside: Loop) -> dict[str, Request]:
    """What each job of the training was created with, by step."""
    sagemaker = inside.client("dev", "sagemaker")
    (execution,) = inside.executions("dev", "train")
    found = {}
    for step in runs.steps_of(sagemaker, execution):
        for kind, part in step.get("Metadata", {}).items():
            if kind in KINDS:
                name = part["Arn"].rsplit("/", 1)[-1]
                described = getattr(sagemaker, f"describe_{KINDS[kind]}")(**{f"{kind}Name": name})
                members = sagemaker.meta.service_model.operation_model(f"Create{kind}").input_shape.members
                found[step["StepName"]] = {key: value for key, value in described.items() if key in members}
    return found


def test_every_training_and_processing_job_runs_in_the_network_isolated_and_encrypted(
    created: dict[str, Request], place: Request
) -> None:
    assert list(created) == ["Mammo-PreProcessing", "Mammo-Train", "Mammo-Eval"]
    for request in created.values():
        network = request.get("NetworkConfig", request)
        assert sorted(network["VpcConfig"]["Subnets"]) == place["Subnets"]
        assert network["VpcConfig"]["SecurityGroupIds"] == place["SecurityGroupIds"]
        assert network["EnableNetworkIsolation"] is network["EnableInterContainerTrafficEncryption"] is True


def without(*path: str) -> Callable[[Request], None]:
    """Return a change that leaves a part of a request out."""

    def change(request: Request) -> None:
        for part in path[:-1]:
            request = request[part]
        del request[path[-1]]

    return change


def with_value(value: Any, *path: str) -> Callable[[Request], None]:
    """Return a change of a part of a request."""

    def change(request: Request) -> None:
        for part in path[:-1]:
            request = request[part]
        request[path[-1]] = value

    return change


FOREIGN_KEY = "arn:aws:kms:us-east-1:444444444444:alias/theirs"
CLUSTER = ("ProcessingResources", "ClusterConfig")
REFUSED = [
    ("Eval", "isolation", without("NetworkConfig", "EnableNetworkIsolation")),
    ("Eval", "isolation", with_value(False, "NetworkConfig", "EnableNetworkIsolation")),
    ("Eval", "encryption", without("NetworkConfig", "EnableInterContainerTrafficEncryption")),
    ("Eval", "the network", without("NetworkConfig", "VpcConfig")),
    ("Eval", "the subnet", with_value(["subnet-0123456789abcdef0"], "NetworkConfig", "VpcConfig", "Subnets")),
    (
        "Eval",
        "the group",
        with_value(["sg-0123456789abcdef0"], "NetworkConfig", "VpcConfig", "SecurityGroupIds"),
    ),
    ("Eval", "the volume's key", without(*CLUSTER, "VolumeKmsKeyId")),
    ("Eval", "the volume's key", with_value(FOREIGN_KEY, *CLUSTER, "VolumeKmsKeyId")),
    ("Eval", "the outputs' key", without("ProcessingOutputConfig", "KmsKeyId")),
    ("Train", "isolation", with_value(False, "EnableNetworkIsolation")),
    ("Train", "encryption", with_value(False, "EnableInterContainerTrafficEncryption")),
    ("Train", "the network", without("VpcConfig")),
    ("Train", "the volume's key", without("ResourceConfig", "VolumeKmsKeyId")),
    ("Train", "the outputs' key", with_value(FOREIGN_KEY, "OutputDataConfig", "KmsKeyId")),
]


@pytest.fixture(scope="module")
def stolen(inside: Loop) -> Any:
    """SageMaker, as somebody with the credentials of dev's train role asks it."""
    return inside.cloud.service_session(inside.role("dev", "train")).client("sagemaker")


def create(sagemaker: Any, request: Request) -> None:
    """Create a job as the request says."""
    kind = "training_job" if "TrainingJobName" in request else "processing_job"
    getattr(sagemaker, f"create_{kind}")(**request)


@pytest.mark.parametrize(
    ("step", "what", "change"), REFUSED, ids=[f"{step}-{what}" for step, what, _ in REFUSED]
)
def test_the_train_role_creates_no_job_that_lacks(
    created: dict[str, Request], stolen: Any, step: str, what: str, change: Callable[[Request], None]
) -> None:
    request = copy.deepcopy(created[f"Mammo-{step}"])
    change(request)
    assert is_denied(lambda: create(stolen, request)), what


@pytest.mark.parametrize("step", ["Eval", "Train"])
def test_the_same_job_unchanged_is_refused_for_its_name_only(
    created: dict[str, Request], stolen: Any, step: str
) -> None:
    with pytest.raises(ClientError) as refused:
        create(stolen, created[f"Mammo-{step}"])
    assert refused.value.response["Error"]["Code"] == "ResourceInUse"


def test_a_models_network_and_isolation_are_demanded_of_the_inference_role_too(
    inside: Loop, place: Request
) -> None:
    role = inside.role("dev", "inference")
    sagemaker = inside.cloud.service_session(role).client("sagemaker")
    version = inside.client("registry", "sagemaker").describe_model_package(
        ModelPackageName=f"{inside.package_arn}/1"
    )
    (container,) = version["InferenceSpecification"]["Containers"]
    request = {
        "ModelName": "mammo-severity-inference-stolen",
        "ExecutionRoleArn": role,
        "PrimaryContainer": {"Image": container["Image"], "ModelDataUrl": container["ModelDataUrl"]},
        "EnableNetworkIsolation": True,
        "VpcConfig": place,
    }
    for change in (
        with_value(False, "EnableNetworkIsolation"),
        without("EnableNetworkIsolation"),
        without("VpcConfig"),
    ):
        lacking = copy.deepcopy(request)
        change(lacking)
        assert is_denied(lambda lacking=lacking: sagemaker.create_model(**lacking))  # type: ignore[misc]
    assert not is_denied(lambda: sagemaker.create_model(**request))
    inside.client("dev", "sagemaker").delete_model(ModelName=request["ModelName"])


def test_a_branch_runs_in_devs_network(inside: Loop, place: Request) -> None:
    branch = Branch("feature/trees")
    assembly = Path(synthesized(SETTINGS, branch=branch.name).directory)
    deploy(inside.cloud, assembly)
    try:
        name = f"{branch.model(inside.model).prefix}-train-pipeline"
        text = inside.client("dev", "sagemaker").describe_pipeline(PipelineName=name)["PipelineDefinition"]
        defaults = {one["Name"]: one.get("DefaultValue") for one in json.loads(text)["Parameters"]}
        assert sorted((defaults["SubnetId1"], defaults["SubnetId2"])) == place["Subnets"]
        assert [defaults["SecurityGroupId"]] == place["SecurityGroupIds"]
    finally:
        destroy(inside.cloud, assembly)


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_a_stages_network_has_no_way_out_but_its_endpoints(inside: Loop, stage: str) -> None:
    ec2 = inside.client(stage, "ec2")
    ours = [{"Name": "tag:Name", "Values": [f"mlops-{stage}-jobs"]}]
    (vpc,) = ec2.describe_vpcs(Filters=ours)["Vpcs"]
    here = [{"Name": "vpc-id", "Values": [vpc["VpcId"]]}]
    attached = [{"Name": "attachment.vpc-id", "Values": [vpc["VpcId"]]}]
    assert ec2.describe_internet_gateways(Filters=attached)["InternetGateways"] == []
    endpoints = ec2.describe_vpc_endpoints(Filters=here)["VpcEndpoints"]
    assert sorted(one["ServiceName"].split(".", 3)[3] for one in endpoints) == ["logs", "s3"]
    (table,) = ec2.describe_route_tables(Filters=ours)["RouteTables"]
    assert {route["DestinationCidrBlock"] for route in table["Routes"]} == {vpc["CidrBlock"]}
    assert [one["ResourceId"] for one in ec2.describe_flow_logs()["FlowLogs"]] == [vpc["VpcId"]]


def test_drift_that_is_delivered_is_told_once_and_fails_nothing(inside: Loop) -> None:
    run = inside.score("prod", inside.put_batch("prod", "mammo-batch-dataset-outliers.csv"))
    assert (run.outcome.status, run.rows_scored) == (
        "Succeeded",
        inside.rows_in("mammo-batch-dataset-outliers.csv"),
    )
    assert inside.verdict(run)["action"] == "announce_and_deliver"
    (alert,) = inside.alerts(run)
    assert alert["subject"].startswith("[prod] mammography-severity-model: data drift in ")
    assert "The predictions were delivered." in alert["body"]
    decision = inside.decision("prod", run)
    assert decision["decision"] == "not_started"
    assert "there is no training data below s3://" in decision["reason"]
    assert decision["reason"] in alert["body"]
    assert inside.executions("prod", "train") == []


def test_a_loss_is_found_in_the_network_and_says_why_nothing_could_be_trained(inside: Loop) -> None:
    batch = inside.put_batch("prod")
    scored = inside.score("prod", batch)
    scores = [float(line.split(",")[1]) for line in inside.predictions("prod", scored)]
    wrong = [int(score < sorted(scores)[len(scores) // 2]) for score in scores]
    lines = "".join(f"{number},{label}\n" for number, label in enumerate(wrong, 1))
    inside.put("prod", f"data/ground-truth/{batch.partition('/data/batch-dataset/')[2]}", lines)
    run = inside.run("prod", "quality")
    assert run.outcome.status == "Succeeded", run.outcome.in_words()
    decision = inside.decision("prod", run)
    assert (decision["decision"], decision["cause"]) == ("not_started", "model_quality")
    (alert,) = inside.alerts(run)
    assert "version 1 has an AUC of " in alert["subject"]
    assert f"No retraining was started: {decision['reason']}." in alert["body"]
    assert "there is no training data below s3://" in decision["reason"]
    assert inside.executions("prod", "train") == []
    jobs = inside.client("prod", "sagemaker").list_processing_jobs()["ProcessingJobSummaries"]
    (name,) = [job["ProcessingJobName"] for job in jobs if "-model-qualit" in job["ProcessingJobName"]]
    described = inside.client("prod", "sagemaker").describe_processing_job(ProcessingJobName=name)
    network = described["NetworkConfig"]
    assert network["EnableNetworkIsolation"] is True
    assert len(network["VpcConfig"]["Subnets"]) == 2
