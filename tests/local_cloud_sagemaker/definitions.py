"""Small pipeline definitions, in the shapes that the SageMaker SDK compiles to."""

from __future__ import annotations

import json
from typing import Any

JsonObject = dict[str, Any]
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:3.2-0"


def get(reference: str) -> JsonObject:
    return {"Get": reference}


def join(*values: Any, on: str = "/") -> JsonObject:
    return {"Std:Join": {"On": on, "Values": list(values)}}


def json_get(step: str, file: str, path: str) -> JsonObject:
    return {"Std:JsonGet": {"PropertyFile": get(f"Steps.{step}.PropertyFiles.{file}"), "Path": path}}


def parameter(name: str, kind: str = "String", default: Any = None) -> JsonObject:
    found = {"Name": name, "Type": kind}
    return found if default is None else {**found, "DefaultValue": default}


def pipeline(*steps: JsonObject, parameters: list[JsonObject] | None = None) -> str:
    return json.dumps(
        {"Version": "2020-12-01", "Metadata": {}, "Parameters": parameters or [], "Steps": list(steps)}
    )


def fail(name: str, message: Any = "enough", **more: Any) -> JsonObject:
    return {"Name": name, "Type": "Fail", "Arguments": {"ErrorMessage": message}, **more}


def condition(
    name: str,
    *conditions: JsonObject,
    then: list[JsonObject] | None = None,
    otherwise: list[JsonObject] | None = None,
    **more: Any,
) -> JsonObject:
    arguments = {"Conditions": list(conditions), "IfSteps": then or [], "ElseSteps": otherwise or []}
    return {"Name": name, "Type": "Condition", "Arguments": arguments, **more}


def compare(kind: str, left: Any, right: Any) -> JsonObject:
    return {"Type": kind, "LeftValue": left, "RightValue": right}


def function(name: str, arn: Any, outputs: dict[str, str] | None = None, **arguments: Any) -> JsonObject:
    return {
        "Name": name,
        "Type": "Lambda",
        "Arguments": arguments,
        "FunctionArn": arn,
        "OutputParameters": [{"OutputName": n, "OutputType": t} for n, t in (outputs or {}).items()],
    }


def processing(
    name: str,
    code_uri: Any,
    *,
    inputs: dict[str, Any] | None = None,
    outputs: dict[str, Any] | None = None,
    files: dict[str, tuple[str, str]] | None = None,
    kms_key: Any = None,
    role: Any = None,
    job_prefix: str | None = None,
    environment: dict[str, Any] | None = None,
    max_runtime: int | None = None,
    instances: Any = 1,
    sharded: tuple[str, ...] = (),
    **more: Any,
) -> JsonObject:
    """A step that runs the program at `code_uri`, which gets /opt/ml/processing as its argument.

    Inputs and outputs are S3 URIs by name; they lie in input/<name> and output/<name>. Of the inputs named by `sharded`
    each instance gets some objects.
    """
    inputs = {"code": code_uri, **(inputs or {})}
    arguments: JsonObject = {
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceType": "ml.m5.xlarge",
                "InstanceCount": instances,
                "VolumeSizeInGB": 30,
            }
        },
        "AppSpecification": {
            "ImageUri": IMAGE,
            "ContainerEntrypoint": ["python3", "/opt/ml/processing/input/code/program.py"],
            "ContainerArguments": ["/opt/ml/processing"],
        },
        "RoleArn": role or get("Parameters.RoleArn"),
        "ProcessingInputs": [
            {
                "InputName": n,
                "S3Input": {
                    "S3Uri": uri,
                    "LocalPath": f"/opt/ml/processing/input/{n}",
                    "S3DataType": "S3Prefix",
                    "S3InputMode": "File",
                    **({"S3DataDistributionType": "ShardedByS3Key"} if n in sharded else {}),
                },
            }
            for n, uri in inputs.items()
        ],
        "ProcessingOutputConfig": {
            "Outputs": [
                {
                    "OutputName": n,
                    "S3Output": {
                        "S3Uri": uri,
                        "LocalPath": f"/opt/ml/processing/output/{n}",
                        "S3UploadMode": "EndOfJob",
                    },
                }
                for n, uri in (outputs or {}).items()
            ],
        },
    }
    if kms_key:
        arguments["ProcessingOutputConfig"]["KmsKeyId"] = kms_key
    if job_prefix:
        arguments["ProcessingJobName"] = job_prefix
    if environment:
        arguments["Environment"] = environment
    if max_runtime:
        arguments["StoppingCondition"] = {"MaxRuntimeInSeconds": max_runtime}
    step = {"Name": name, "Type": "Processing", "Arguments": arguments, **more}
    if files:
        step["PropertyFiles"] = [
            {"PropertyFileName": n, "OutputName": output, "FilePath": path}
            for n, (output, path) in files.items()
        ]
    return step


def training(
    name: str, train_uri: Any, output_uri: Any, *, kms_key: Any = None, **hyperparameters: Any
) -> JsonObject:
    output: JsonObject = {"S3OutputPath": output_uri}
    if kms_key:
        output["KmsKeyId"] = kms_key
    source = {"S3DataType": "S3Prefix", "S3Uri": train_uri, "S3DataDistributionType": "FullyReplicated"}
    return {
        "Name": name,
        "Type": "Training",
        "Arguments": {
            "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
            "RoleArn": get("Parameters.RoleArn"),
            "HyperParameters": {"objective": "binary:logistic", "num_round": "5", **hyperparameters},
            "InputDataConfig": [
                {"ChannelName": "train", "ContentType": "text/csv", "DataSource": {"S3DataSource": source}}
            ],
            "OutputDataConfig": output,
            "ResourceConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 30},
            "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        },
    }


def inference(artifact: Any) -> JsonObject:
    return {
        "Containers": [{"Image": IMAGE, "ModelDataUrl": artifact}],
        "SupportedContentTypes": ["text/csv"],
        "SupportedResponseMIMETypes": ["text/csv"],
    }


def register(name: str, group: Any, artifact: Any, **more: Any) -> JsonObject:
    arguments = {
        "ModelPackageGroupName": group,
        "ModelApprovalStatus": "PendingManualApproval",
        "InferenceSpecification": inference(artifact),
        **more,
    }
    return {"Name": name, "Type": "RegisterModel", "Arguments": arguments}


def model(name: str, package: Any) -> JsonObject:
    arguments = {
        "ExecutionRoleArn": get("Parameters.RoleArn"),
        "PrimaryContainer": {"ModelPackageName": package},
    }
    return {"Name": name, "Type": "Model", "Arguments": arguments}


def transform(name: str, model_name: Any, input_uri: Any, output_uri: Any, **more: Any) -> JsonObject:
    return {
        "Name": name,
        "Type": "Transform",
        "Arguments": {
            "ModelName": model_name,
            "TransformInput": {
                "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": input_uri}},
                "ContentType": "text/csv",
                "SplitType": "Line",
            },
            "TransformOutput": {"S3OutputPath": output_uri, "Accept": "text/csv", "AssembleWith": "Line"},
            "TransformResources": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1},
            **more,
        },
    }


def quality_check(name: str, data_uri: Any, output_uri: Any, **more: Any) -> JsonObject:
    step = processing(name, "unused", inputs={}, outputs={"quality_check_output": output_uri})
    arguments = step["Arguments"]
    arguments["AppSpecification"] = {
        "ImageUri": "1.dkr.ecr.us-east-1.amazonaws.com/sagemaker-model-monitor-analyzer"
    }
    source = arguments["ProcessingInputs"][0]
    source["InputName"] = "baseline_dataset_input"
    source["S3Input"] |= {"S3Uri": data_uri, "LocalPath": "/opt/ml/processing/input/baseline_dataset_input"}
    arguments["Environment"] = {
        "dataset_source": "/opt/ml/processing/input/baseline_dataset_input",
        "output_path": "/opt/ml/processing/output/quality_check_output",
    }
    check = {
        "CheckType": "DATA_QUALITY",
        "ModelPackageGroupName": None,
        "SkipCheck": False,
        "FailOnViolation": True,
        "RegisterNewBaseline": False,
        "SuppliedBaselineStatistics": None,
        "SuppliedBaselineConstraints": None,
    }
    return {"Name": name, "Type": "QualityCheck", "Arguments": arguments, **check, **more}
