"""Helpers around the SageMaker SDK: parameters, values that are known only when a pipeline runs, kinds of step.

`pipeline_code.jobs` makes the steps of our pipelines with them.

Importing it needs the SageMaker SDK, so the authoring environment (`make setup-authoring`) and a region
(``AWS_DEFAULT_REGION``).
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import boto3
from sagemaker.core.shapes import ProcessingInput, ProcessingOutput, ProcessingS3Input, ProcessingS3Output
from sagemaker.core.workflow.execution_variables import ExecutionVariables
from sagemaker.core.workflow.functions import Join, JsonGet
from sagemaker.core.workflow.parameters import ParameterFloat, ParameterInteger, ParameterString
from sagemaker.core.workflow.pipeline_context import PipelineSession
from sagemaker.core.workflow.pipeline_definition_config import PipelineDefinitionConfig
from sagemaker.core.workflow.properties import Properties
from sagemaker.mlops.workflow.pipeline import Pipeline
from sagemaker.mlops.workflow.quality_check_step import QualityCheckStep
from sagemaker.mlops.workflow.retry import (
    SageMakerJobExceptionTypeEnum,
    SageMakerJobStepRetryPolicy,
    StepExceptionTypeEnum,
    StepRetryPolicy,
)
from sagemaker.mlops.workflow.steps import ConfigurableRetryStep

from pipeline_code.definitions import image_uri, monitor_image_regions, monitor_image_uri

MODEL_RESOLVER = "@function:ModelResolver@"
RUN_RECORDER = "@function:RunRecorder@"

INPUTS = "/opt/ml/processing/input"
OUTPUTS = "/opt/ml/processing/output"
CODE = f"{INPUTS}/code"
MODEL_JSON = f"{CODE}/model.json"

# A session wants a region, a bucket and credentials even where it calls nothing; none of these comes into a definition.
NEUTRAL_REGION = "us-east-1"
NEUTRAL_BUCKET = "not-used"


def joined(*parts: Any) -> Any:
    """Return the parts joined by slashes, such as an S3 URI, when the pipeline runs."""
    return Join(on="/", values=list(parts))


def run_folder(root: Any, name: str) -> Any:
    """Return ``<root>/<execution id>/<name>``: a folder that no other run writes to."""
    return joined(root, ExecutionVariables.PIPELINE_EXECUTION_ID, name)


def output_uri(step: Any, name: str) -> Any:
    """Return where a processing step's output lies in S3."""
    return step.properties.ProcessingOutputConfig.Outputs[name].S3Output.S3Uri


def read(step: Any, file: Any, path: str) -> Any:
    """Return a value of a step's property file, read when the pipeline runs."""
    return JsonGet(step_name=step.name, property_file=file, json_path=path)


def json_source(uri: Any) -> dict[str, Any]:
    """Return a JSON file as the registry wants metrics and baselines named."""
    return {"ContentType": "application/json", "S3Uri": uri}


@lru_cache
def session_for(region: str | None) -> Any:
    """Return a pipeline session.

    Parameters
    ----------
    region
        Region to call AWS in, with the caller's credentials; None makes a session that calls nothing.
    """
    if region is not None:
        return PipelineSession(boto_session=boto3.Session(region_name=region))
    offline = boto3.Session(
        region_name=NEUTRAL_REGION,
        aws_access_key_id="none",
        aws_secret_access_key="none",  # noqa: S106
    )
    session = PipelineSession(boto_session=offline, default_bucket=NEUTRAL_BUCKET)
    session._default_bucket = NEUTRAL_BUCKET  # or the SDK asks AWS whether it exists
    return session


def pipeline(name: str, parameters: Sequence[Any], steps: Sequence[Any], session: Any) -> Any:
    """Return a pipeline whose jobs keep the names that its steps give, and that makes no experiment.

    https://docs.aws.amazon.com/sagemaker/latest/dg/build-and-manage-access.html
    """
    return Pipeline(
        name=name,
        parameters=list(parameters),
        steps=list(steps),
        sagemaker_session=session,
        # The default depends on the region, and needs permissions that nothing else here needs.
        pipeline_experiment_config=None,
        pipeline_definition_config=PipelineDefinitionConfig(use_custom_job_prefix=True),
    )


class Parameters:
    """The parameters of a pipeline, in the order in which they were declared.

    Parameters
    ----------
    literals
        Defaults by parameter name, for a pipeline that is built in a notebook. A compiled pipeline has none: the
        stack fills them in each account.
    """

    def __init__(self, literals: Mapping[str, str]) -> None:
        self.all: list[Any] = []
        self._literals = literals

    def string(self, name: str, default: str | None = None, values: Sequence[str] | None = None) -> Any:
        """Declare a text; with `values`, one of these."""
        return self._add(
            ParameterString(
                name=name,
                default_value=self._literals.get(name, default),
                enum_values=None if values is None else list(values),
            )
        )

    def integer(self, name: str, default: int) -> Any:
        """Declare a whole number."""
        return self._add(ParameterInteger(name=name, default_value=default))

    def number(self, name: str, default: float) -> Any:
        """Declare a number."""
        return self._add(ParameterFloat(name=name, default_value=float(default)))

    def _add(self, parameter: Any) -> Any:
        self.all.append(parameter)
        return parameter


class RequestStep(ConfigurableRetryStep):
    """A step written as the API request that it makes.

    For the steps where the SDK's own classes refuse pipeline variables or add values of their own.

    Parameters
    ----------
    name
        Name of the step.
    kind
        The SDK's type of step.
    response
        Shape of the Describe call's response, whose fields later steps may refer to.
    request
        Arguments of the Create call.
    retry_policies
        When to try again.
    """

    def __init__(
        self, name: str, kind: Any, response: str, request: dict[str, Any], retry_policies: list[Any]
    ) -> None:
        super().__init__(name=name, step_type=kind, retry_policies=retry_policies)
        self._request = request
        self._response = Properties(step_name=name, step=self, shape_name=response)

    @property
    def arguments(self) -> dict[str, Any]:
        """Return the arguments of the Create call."""
        return self._request

    @property
    def properties(self) -> Any:
        """Return what later steps may refer to."""
        return self._response


class MonitorStep(QualityCheckStep):
    """A Model Monitor check with our job name and a parameter for its image.

    The SDK's own step names the image of the region that the pipeline was built for.

    Parameters
    ----------
    job_name
        Prefix of the job's name.
    image
        URI of Model Monitor's analyzer image.
    options
        Arguments of the SDK's step.
    """

    def __init__(self, *, job_name: str, image: Any, **options: Any) -> None:
        super().__init__(**options)
        self._job_name = job_name
        self._image = image

    @property
    def arguments(self) -> dict[str, Any]:
        """Return the arguments of the job's Create call."""
        request: dict[str, Any] = super().arguments
        request["ProcessingJobName"] = self._job_name
        request["AppSpecification"]["ImageUri"] = self._image
        return request


def processing_input(name: str, uri: Any, *, sharded: bool = False) -> Any:
    """Return an input of a processing job: all objects under an S3 URI, as files.

    Parameters
    ----------
    sharded
        Whether each instance gets some of the objects, rather than all of them.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProcessingS3Input.html
    """
    return ProcessingInput(
        input_name=name,
        s3_input=ProcessingS3Input(
            s3_uri=uri,
            local_path=f"{INPUTS}/{name}",
            s3_data_type="S3Prefix",
            s3_input_mode="File",
            s3_data_distribution_type="ShardedByS3Key" if sharded else "FullyReplicated",
            s3_compression_type="None",
        ),
    )


def processing_output(name: str, uri: Any) -> Any:
    """Return an output of a processing job, uploaded when it ends."""
    return ProcessingOutput(
        output_name=name,
        s3_output=ProcessingS3Output(s3_uri=uri, local_path=f"{OUTPUTS}/{name}", s3_upload_mode="EndOfJob"),
    )


def call_retries() -> list[Any]:
    """Return when a call is made again: SageMaker was at fault, or throttled it."""
    return [
        StepRetryPolicy(
            exception_types=[StepExceptionTypeEnum.SERVICE_FAULT, StepExceptionTypeEnum.THROTTLING],
            interval_seconds=10,
            backoff_rate=2.0,
            max_attempts=4,
        )
    ]


def job_retries() -> list[Any]:
    """Return when a job is run again: the call as above, or what broke was on SageMaker's side."""
    # What broke on SageMaker's side is tried again; what our program or the data broke is not.
    return [
        *call_retries(),
        SageMakerJobStepRetryPolicy(
            failure_reason_types=[
                SageMakerJobExceptionTypeEnum.INTERNAL_ERROR,
                SageMakerJobExceptionTypeEnum.CAPACITY_ERROR,
            ],
            interval_seconds=60,
            backoff_rate=2.0,
            max_attempts=2,
        ),
    ]


def notebook_defaults(
    *,
    kind: str,
    model_name: str,
    region: str | None,
    role: str | None,
    default_bucket: str | None,
    model_artifacts_bucket: str | None,
    kms_key: str | None,
    model_package_group_name: str | None,
    code_uri: str | None,
    batch_file: str | None = None,
    stage: str = "dev",
) -> dict[str, str]:
    """Return the parameter defaults that a stack would fill in, from what a notebook knows.

    What it doesn't know (None) stays without a default, and has to be given when the pipeline starts.

    Parameters
    ----------
    kind
        ``train``, ``inference`` or ``quality``.
    model_name
        First part of every object key.
    region, role, default_bucket, model_artifacts_bucket, kms_key, model_package_group_name, code_uri, stage
        As in `pipeline_code.train_pipeline.get_pipeline`.
    batch_file
        Name of the batch to score when none is named.
    """
    known: dict[str, str | None] = {
        "RoleArn": role,
        "CodeUri": code_uri,
        "DataKeyArn": kms_key,
        "ArtifactsKeyArn": kms_key,
        "ModelPackageGroupArn": model_package_group_name,
    }
    if region is not None:
        known |= {
            "ImageUri": image_uri(region),
            "MonitorImageUri": monitor_image_uri(region) if region in monitor_image_regions() else None,
            "GitCommit": "unknown",
            "DefinitionSha256": "unknown",
        }
    if default_bucket is not None:
        data = f"s3://{default_bucket}/{model_name}"
        known |= {
            "RunUri": f"{data}/{kind}",
            "InputDataUrl": f"{data}/data/train-dataset/",
            "transform_input": f"{data}/data/batch-dataset/{batch_file}" if batch_file else None,
            "ground_truth_input": f"{data}/data/ground-truth/",
        }
    if model_artifacts_bucket is not None:
        known["ArtifactsUri"] = f"s3://{model_artifacts_bucket}/{model_name}/{stage}"
    return {name: value for name, value in known.items() if value is not None}


def kebab(name: str) -> str:
    """Return a step's name as part of a job name: ``CheckAUCScore`` -> ``check-auc-score``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name).lower()
