"""A dozen and more forbidden calls; the same principals are seen to make calls that they may make.

The allowed calls show that a refusal comes from the permission, not from a dead session or a wrong name.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import botocore.exceptions

from demo.world import APPROVER, World

REFUSALS = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AccessDenied: ", "403")
OTHER_MODEL = "another-model"
STRANGER_ACCOUNT = "444444444444"


@dataclass(frozen=True)
class Attempt:
    """One call that must be refused."""

    who: str
    principal: str
    action: str
    what: str
    call: Callable[[], object]


def try_all(world: World) -> list[dict[str, Any]]:
    """Make every forbidden call; return who was refused what.

    Raises
    ------
    DemoError
        Where one was allowed, or failed for another reason than permission.
    """
    story = world.story
    results = []
    with story.step("forbidden calls, each denied", kind="good"):
        for attempt in attempts(world):
            allowed, answer = _attempt(attempt.call)
            story.check(not allowed, f"{attempt.who} is denied: {attempt.what}", answer)
            story.check(
                any(code in answer for code in REFUSALS), f"{attempt.what} is refused by a permission", answer
            )
            story.progress(f"denied: {attempt.who}: {attempt.what}")
            results.append(
                {
                    "principal": attempt.principal,
                    "who": attempt.who,
                    "action": attempt.action,
                    "what": attempt.what,
                    "allowed": allowed,
                }
            )
        story.timeline[-1]["shown"].append(
            f"{len(results)} calls; the same roles may do what they are there for"
        )
    return results


def _attempt(call: Callable[[], object]) -> tuple[bool, str]:
    try:
        call()
    except botocore.exceptions.ClientError as error:
        return False, f"{error.response['Error']['Code']}: {error.response['Error']['Message']}"
    return True, "allowed"


class Thief:
    """Clients with the stolen credentials of a role; made once a role."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._sessions: dict[str, Any] = {}

    def role(self, account_name: str, path_and_name: str) -> str:
        """Return a role's ARN."""
        settings = self._world.settings
        return f"arn:{settings.partition}:iam::{settings.accounts[account_name]}:role/mlops/{path_and_name}"

    def client(self, role_arn: str, service: str, *, of: str = "sagemaker") -> Any:
        """Return a client that acts as the role, which the named service takes."""
        if role_arn not in self._sessions:
            self._sessions[role_arn] = self._world.cloud.service_session(
                role_arn, service=f"{of}.amazonaws.com"
            )
        return self._sessions[role_arn].client(service)


def attempts(world: World) -> list[Attempt]:
    """Return the forbidden calls."""
    settings, model = world.settings, world.model
    prefix, name = model.prefix, model.model_name
    prod = settings.stage("prod")
    artifacts = settings.artifacts_bucket_name
    approved, newest = world.versions()[0], world.versions()[-1]
    approved_key = approved.model_data_url.removeprefix(f"s3://{artifacts}/")
    model_bucket, model_key = newest.model_data_url.removeprefix("s3://").split("/", 1)
    thief = Thief(world)
    dev_train = thief.role("dev", f"dev/train/{prefix}-dev-train")
    prod_train = thief.role("prod", f"prod/train/{prefix}-prod-train")
    prod_inference = thief.role("prod", f"prod/inference/{prefix}-prod-inference")
    approver = settings.approver_role_arn
    recorder = thief.role("registry", "registry/recorder/mlops-registry-recorder")
    group_arn = (
        f"arn:{settings.partition}:sagemaker:{world.region}:{settings.accounts['registry']}"
        f":model-package-group/{model.model_package_group}"
    )
    prod_pipeline = (
        f"arn:{settings.partition}:sagemaker:{world.region}:{prod.account}"
        f":pipeline/{prod.pipeline_name(model, 'train')}"
    )
    specification = {
        "Containers": [{"Image": settings.image_uri, "ModelDataUrl": newest.model_data_url}],
        "SupportedContentTypes": ["text/csv"],
        "SupportedResponseMIMETypes": ["text/csv"],
    }

    def approve_as(role: str) -> Callable[[], object]:
        return lambda: thief.client(role, "sagemaker").update_model_package(
            ModelPackageArn=newest.arn, ModelApprovalStatus="Approved"
        )

    def register_as(role: str, status: str) -> Callable[[], object]:
        return lambda: thief.client(role, "sagemaker").create_model_package(
            ModelPackageGroupName=group_arn, ModelApprovalStatus=status, InferenceSpecification=specification
        )

    def get_as(role: str, bucket: str, key: str) -> Callable[[], object]:
        return lambda: thief.client(role, "s3").get_object(Bucket=bucket, Key=key)["Body"].read()

    def put_as(role: str, bucket: str, key: str) -> Callable[[], object]:
        return lambda: thief.client(role, "s3").put_object(Bucket=bucket, Key=key, Body=b"forged")

    training = f"{name}/data/train-dataset/mammo-train-dataset-part1.csv"
    stranger, stranger_arn = _stranger(world)
    plain = world.cloud.service_session(prod_train, plain=True)
    _put_another_models_object(world)
    return [
        Attempt(
            "prod's train role",
            prod_train,
            "sagemaker:UpdateModelPackage",
            "approves a version",
            approve_as(prod_train),
        ),
        Attempt(
            "dev's train role",
            dev_train,
            "sagemaker:UpdateModelPackage",
            "approves a version",
            approve_as(dev_train),
        ),
        Attempt(
            "dev's train role",
            dev_train,
            "sagemaker:CreateModelPackage",
            "registers a version as approved",
            register_as(dev_train, "Approved"),
        ),
        Attempt(
            "prod's inference role",
            prod_inference,
            "sagemaker:CreateModelPackage",
            "registers a version",
            register_as(prod_inference, "PendingManualApproval"),
        ),
        Attempt(
            "dev's train role",
            dev_train,
            "s3:GetObject",
            "reads prod's training data",
            get_as(dev_train, prod.data_bucket_name, training),
        ),
        Attempt(
            "dev's train role",
            dev_train,
            "s3:PutObject",
            "writes into prod's part of the artifacts",
            put_as(dev_train, artifacts, f"{name}/prod/x/model/model.tar.gz"),
        ),
        Attempt(
            "a stranger's role, all of S3 and KMS allowed",
            stranger_arn,
            "s3:GetObject",
            "reads the model",
            lambda: stranger.client("s3").get_object(Bucket=model_bucket, Key=model_key)["Body"].read(),
        ),
        Attempt(
            "prod's train role",
            prod_train,
            "s3:GetObject",
            "reads another model's data",
            get_as(prod_train, prod.data_bucket_name, f"{OTHER_MODEL}/data/train-dataset/rows.csv"),
        ),
        Attempt(
            "prod's train role",
            prod_train,
            "s3:GetObject",
            "reads its own data without TLS",
            lambda: plain.client("s3").get_object(Bucket=prod.data_bucket_name, Key=training)["Body"].read(),
        ),
        Attempt(
            "prod's inference role",
            prod_inference,
            "s3:PutObject",
            "overwrites the code of the steps",
            put_as(prod_inference, prod.data_bucket_name, f"{name}/scripts/x/steps/preprocess.py"),
        ),
        Attempt(
            "prod's inference role",
            prod_inference,
            "s3:PutObject",
            "overwrites the model",
            put_as(prod_inference, model_bucket, model_key),
        ),
        Attempt(
            "prod's train role",
            prod_train,
            "s3:PutObject",
            "overwrites the approved model that dev trained",
            put_as(prod_train, artifacts, approved_key),
        ),
        Attempt(
            "the role that records approvals",
            recorder,
            "sagemaker:UpdateModelPackage",
            "approves a version",
            lambda: thief.client(recorder, "sagemaker", of="lambda").update_model_package(
                ModelPackageArn=newest.arn, ModelApprovalStatus="Approved"
            ),
        ),
        Attempt(
            "the role that records approvals",
            recorder,
            "s3:PutObject",
            "overwrites the approved model",
            lambda: thief.client(recorder, "s3", of="lambda").put_object(
                Bucket=artifacts, Key=approved_key, Body=b"forged"
            ),
        ),
        Attempt(
            "prod's train role",
            prod_train,
            "sagemaker:DeleteModelPackage",
            "deletes a version",
            lambda: thief.client(prod_train, "sagemaker").delete_model_package(ModelPackageName=newest.arn),
        ),
        Attempt(
            "dev's train role",
            dev_train,
            "sagemaker:StartPipelineExecution",
            "starts prod's train pipeline",
            lambda: thief.client(dev_train, "sagemaker").start_pipeline_execution(PipelineName=prod_pipeline),
        ),
        Attempt(
            f"{APPROVER} without a second factor",
            f"user/{APPROVER}",
            "sts:AssumeRole",
            "takes the approver role",
            lambda: world.cloud.assume(approver, session_name=APPROVER, by=world.person),
        ),
    ]


def controls(world: World) -> None:
    """Check that the same principals may do what they are there for."""
    settings, model = world.settings, world.model
    thief = Thief(world)
    training = f"{model.model_name}/data/train-dataset/mammo-train-dataset-part1.csv"
    for stage in (settings.stage("dev"), settings.stage("prod")):
        role = thief.role(stage.name, f"{stage.name}/train/{model.prefix}-{stage.name}-train")
        body = thief.client(role, "s3").get_object(Bucket=stage.data_bucket_name, Key=training)["Body"].read()
        world.story.check(body.count(b"\n") > 100, f"{stage.name}'s train role reads its own training data")
    inference = thief.role("prod", f"prod/inference/{model.prefix}-prod-inference")
    bucket, key = world.versions()[-1].model_data_url.removeprefix("s3://").split("/", 1)
    artifact = thief.client(inference, "s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    world.story.check(len(artifact) > 100, "prod's inference role reads the model")
    recorder = thief.role("registry", "registry/recorder/mlops-registry-recorder")
    read = thief.client(recorder, "s3", of="lambda").get_object(Bucket=bucket, Key=key)["Body"].read()
    world.story.check(read == artifact, "the role that records approvals reads the model")
    stranger = world.cloud.service_session(f"arn:aws:iam::{STRANGER_ACCOUNT}:role/stranger").client("s3")
    stranger.create_bucket(Bucket="a-strangers-own-bucket")
    stranger.put_object(Bucket="a-strangers-own-bucket", Key="x", Body=b"1")


def _stranger(world: World) -> tuple[Any, str]:
    """Return a session, and the ARN, of a role in an account of its own that may do anything in S3 and KMS there."""
    iam = world.cloud.session(STRANGER_ACCOUNT, region=world.region).client("iam")
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sagemaker.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    rights = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": ["s3:*", "kms:*"], "Resource": "*"}],
    }
    arn = iam.create_role(RoleName="stranger", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName="stranger", PolicyName="all", PolicyDocument=json.dumps(rights))
    return world.cloud.service_session(arn), arn


def _put_another_models_object(world: World) -> None:
    """Put an object of another model beside ours: what may not be read must exist."""
    bucket = world.stage("prod").data_bucket_name
    key = f"{OTHER_MODEL}/data/train-dataset/rows.csv"
    world.client("prod", "s3").put_object(Bucket=bucket, Key=key, Body=b"1,2\n")
