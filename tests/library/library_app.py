"""A registry, dev and prod made of the library's constructs, synthesized once a process."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import aws_cdk as cdk
from constructs import Construct

import cdk_mlops as mlops

# The built-in template validation costs seconds a synthesis and is `make check`'s business.
os.environ["CDK_VALIDATION"] = "false"

REGION = "eu-west-1"
REGISTRY, DEV, PROD = "111111111111", "222222222222", "333333333333"
STAGES = (mlops.RegistryStage("dev", DEV), mlops.RegistryStage("prod", PROD))
MAMMO = mlops.ModelNames(
    prefix="mammo-severity",
    model_name="mammography-severity-model",
    package_group="mammo-severity-model-package",
)
IMAGES = f"arn:aws:ecr:{REGION}:141502667606:repository/sagemaker-xgboost"
NETWORK = mlops.JobNetwork(
    subnets=("subnet-0123456789abcdef0", "subnet-0123456789abcdef1"),
    security_groups=("sg-0123456789abcdef0",),
)
DEFINITION = {
    "Version": "2020-12-01",
    "Parameters": [
        {"Name": "CodeUri", "Type": "String"},
        {"Name": "RunUri", "Type": "String"},
        {"Name": "Threshold", "Type": "Float", "DefaultValue": 0.85},
        {
            "Name": "OnDrift",
            "Type": "String",
            "DefaultValue": "withhold",
            "EnumValues": ["withhold", "deliver"],
        },
    ],
    "Steps": [{"Name": "ResolveModel", "Type": "Lambda", "FunctionArn": "@function:ModelResolver@"}],
}


def model(number: int) -> mlops.ModelNames:
    """Return one of many models."""
    return mlops.ModelNames(
        prefix=f"model-{number}", model_name=f"model-{number}", package_group=f"model-{number}-package"
    )


@cache
def definition_file() -> Path:
    """Return a compiled definition."""
    path = Path(mkdtemp()) / "pipeline.json"
    path.write_text(json.dumps(DEFINITION))
    return path


@cache
def code_folder() -> Path:
    """Return a folder of code."""
    folder = Path(mkdtemp())
    (folder / "step.py").write_text("print('a step')\n")
    return folder


def new_stack(
    name: str = "Stack", account: str = DEV, context: Mapping[str, object] | None = None
) -> cdk.Stack:
    """Return an empty stack in an app of its own."""
    app = cdk.App(context=None if context is None else dict(context), analytics_reporting=False)
    return cdk.Stack(app, name, env=cdk.Environment(account=account, region=REGION))


def template_of(stack: cdk.Stack) -> dict[str, Any]:
    """Return a stack's template."""
    assembly = cdk.App.of(stack).synth()  # type: ignore[union-attr]
    return dict(assembly.get_stack_by_name(stack.stack_name).template)


@dataclass(frozen=True)
class Stage:
    """What a stage is made of, so that tests can look at the parts."""

    stack: cdk.Stack
    data: mlops.StageDataBucket
    registry: mlops.ModelRegistry
    alerts: mlops.PipelineAlerts


def add_stage(stack: cdk.Stack, stage: str) -> Stage:
    """Fill a stack with what all models of a stage share."""
    data = mlops.StageDataBucket(stack, "Data", stage=stage)
    registry = mlops.CrossAccountModelRegistry.from_attributes(
        stack, "Registry", account=REGISTRY, region=REGION
    )
    topic = mlops.AlertTopic(stack, "Topic", stage=stage, email="ml-team@example.com")
    alerts = mlops.PipelineAlerts(
        stack, "Alerts", stage=stage, data_bucket=data, alerts=topic, registry_account=REGISTRY
    )
    people: dict[str, Any] = {
        "stage": stage,
        "data_bucket": data,
        "principals": [f"arn:aws:iam::{stack.account}:user/ada"],
    }
    mlops.DataScientistRole(stack, "DataScientists", **people)
    mlops.OperatorRole(stack, "Operators", **people, models=[MAMMO])
    return Stage(stack, data, registry, alerts)


def add_model(
    stage: Stage, name: str, model: mlops.ModelNames, network: mlops.JobNetwork | None = None
) -> None:
    """Add one model with everything that the library has for it."""
    scope = Construct(stage.stack, model.prefix)
    data, registry = stage.data, stage.registry
    resolver = mlops.ModelResolver(
        scope, "Resolver", model=model, stage=name, data_bucket=data, registry=registry
    )
    recorder = mlops.RunRecorder(
        scope, "Recorder", model=model, stage=name, data_bucket=data, registry=registry
    )
    functions = [resolver.function, recorder.function]
    common: dict[str, Any] = {
        "model": model,
        "stage": name,
        "data_bucket": data,
        "registry": registry,
        "functions": functions,
        "image_repository_arns": [IMAGES],
        "network": network,
    }
    train_role, inference_role = (
        mlops.TrainRole(scope, "TrainRole", **common),
        mlops.InferenceRole(scope, "InferenceRole", **common),
    )
    provider = mlops.SageMakerPipelineProvider(
        scope, "Provider", stage=name, prefix=model.prefix, log_key=data.key
    )
    pipelines = [
        mlops.SageMakerPipeline(
            scope,
            kind.title(),
            pipeline_name=f"{model.prefix}-{kind}-pipeline",
            stage=name,
            definition=definition_file(),
            role=role.role,
            parameter_defaults={"RunUri": f"s3://{data.bucket_name}/{model.model_name}/{kind}"},
            functions={"ModelResolver": resolver.function},
            code=code_folder(),
            code_bucket=data,
            code_prefix=f"{model.model_name}/scripts",
            tags={"mlops:model": model.model_name, "mlops:kind": kind},
            provider=provider,
        )
        for kind, role in (("train", train_role), ("inference", inference_role))
    ]
    rule = mlops.RetrainOnDriftRule(
        scope,
        "Retrain",
        model=model,
        stage=name,
        train_pipeline=pipelines[0],
        inference_pipeline=pipelines[1],
        data_bucket=data,
        registry=registry,
    )
    scheduled = mlops.ScheduledInferencePipeline(
        scope,
        "Schedule",
        model=model,
        stage=name,
        pipeline=pipelines[1],
        schedule=mlops.BatchSchedule.cron("0 23 * * ? *", time_zone="Europe/Berlin"),
        alarm_topic=stage.alerts.topic,
    )
    stage.alerts.watch(f"{model.prefix}Starts", scheduled.dead_letter_queue)
    if rule.dead_letter_queue is not None:
        stage.alerts.watch(f"{model.prefix}Retraining", rule.dead_letter_queue)


@cache
def registry_template(models: int = 1) -> dict[str, Any]:
    """Return the template of a registry with so many models."""
    stack = new_stack("Registry", REGISTRY)
    mlops.CrossAccountModelRegistry(
        stack,
        "Registry",
        stages=STAGES,
        models=[MAMMO] if models == 1 else [model(number) for number in range(models)],
        approvers=[f"arn:aws:iam::{REGISTRY}:user/grace"],
        alert_email="approvers@example.com",
    )
    return template_of(stack)


@cache
def stage_template(name: str = "prod", models: int = 1, vpc: bool = False) -> dict[str, Any]:
    """Return the template of a stage with so many models."""
    stack = new_stack(name.title(), PROD if name == "prod" else DEV)
    stage = add_stage(stack, name)
    for names in [MAMMO] if models == 1 else [model(number) for number in range(models)]:
        add_model(stage, name, names, NETWORK if vpc else None)
    return template_of(stack)


@cache
def passing_template() -> dict[str, Any]:
    """Return the template of a model that goes with its stack."""
    stack = new_stack("Passing")
    data = mlops.StageDataBucket(stack, "Data", stage="dev")
    mlops.ModelCleanup(stack, "Cleanup", model=MAMMO, stage="dev", data_bucket=data)
    return template_of(stack)


@cache
def delivery_template() -> dict[str, Any]:
    """Return the template of what tells of deliveries, and starts releases."""
    stack = new_stack("Delivery", REGISTRY)
    topic = mlops.AlertTopic(stack, "Topic", stage="delivery")
    mlops.DeliveryAlerts(
        stack,
        "Alerts",
        pipeline_name="my-delivery",
        stages={"Staging": "staging", "Prod": "prod"},
        state_bucket=mlops.StageDataBucket(stack, "Data", stage="delivery"),
        alerts=topic,
        releases_pipeline_name="my-releases",
    )
    mlops.StartOnApproval(
        stack,
        "Starter",
        pipeline_name="my-releases",
        source_action="Source",
        delivery_pipeline_name="my-delivery",
        delivered_stage="Prod",
        models={MAMMO.package_group: "mammography"},
        alerts=topic,
    )
    return template_of(stack)


def resources(template: Mapping[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    """Return the resources of a type, by logical id."""
    return {key: one for key, one in template["Resources"].items() if one["Type"] == kind}


def only(template: Mapping[str, Any], kind: str, containing: str = "") -> dict[str, Any]:
    """Return the properties of the one resource of a type whose logical id contains a text."""
    found = [one for key, one in resources(template, kind).items() if containing in key]
    assert len(found) == 1, f"{kind} with {containing!r}: {len(found)} found"
    return dict(found[0]["Properties"])


def statements(role: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the statements of a role's inline policies, by Sid."""
    documents: Sequence[Mapping[str, Any]] = [one["PolicyDocument"] for one in role.get("Policies", [])]
    return {one["Sid"]: one for document in documents for one in document["Statement"]}
