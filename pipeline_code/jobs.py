"""Makes the steps of a pipeline: each job gets the role, the keys, the network, the name and the retries of them all.

So the pipelines themselves say only what is their own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sagemaker.core.lambda_helper import Lambda
from sagemaker.core.network import NetworkConfig
from sagemaker.core.processing import Processor
from sagemaker.mlops.workflow.check_job_config import CheckJobConfig
from sagemaker.mlops.workflow.lambda_step import LambdaOutput, LambdaOutputTypeEnum, LambdaStep
from sagemaker.mlops.workflow.quality_check_step import DataQualityCheckConfig
from sagemaker.mlops.workflow.steps import ProcessingStep, StepTypeEnum

from pipeline_code.sdk import (
    CODE,
    INPUTS,
    MODEL_JSON,
    OUTPUTS,
    MonitorStep,
    RequestStep,
    call_retries,
    job_retries,
    kebab,
    processing_input,
    processing_output,
)

# SageMaker appends -<execution id: 12>-<token: 10>-<attempt: 1> to a job name prefix, and a job name has at most 63.
JOB_NAME_LIMIT = 37
JOB_HOURS = 1
VOLUME_GIB = 30


@dataclass(frozen=True)
class Steps:
    """Makes the steps of one pipeline; each method's `step` is the step's name without its prefix.

    Parameters
    ----------
    session
        The SDK's pipeline session.
    step_prefix
        Before each step's name, such as ``Mammo-``.
    job_prefix
        Before each job's name, such as ``mammo-severity-train``: the roles are narrowed to it.
    role, image, code
        Role, container and code of the jobs.
    volume_key
        Key of the jobs' volumes. Instance types whose volume is local storage (``ml.m5d``, ``ml.g5`` and such)
        take none, so they can't be used here.
    subnets, security_groups
        Where jobs run; none means SageMaker's own network.
    """

    session: Any
    step_prefix: str
    job_prefix: str
    role: Any
    image: Any
    code: Any
    volume_key: Any
    subnets: Sequence[Any] = ()
    security_groups: Sequence[Any] = ()

    def __post_init__(self) -> None:
        """Make sure that job names keep the prefix which roles are narrowed to."""
        longest = JOB_NAME_LIMIT - len("-x")
        if len(self.job_prefix) > longest:
            raise ValueError(
                f"job names begin with '{self.job_prefix}', which must have at most {longest} characters,"
                f" has {len(self.job_prefix)}; shorten base_job_prefix"
            )

    def name(self, step: str) -> str:
        """Return a step's full name."""
        return f"{self.step_prefix}{step}"

    def job_name(self, step: str) -> str:
        """Return the prefix of the names of a step's jobs, cut to what leaves room for SageMaker's part."""
        return f"{self.job_prefix}-{kebab(step)}"[:JOB_NAME_LIMIT].rstrip("-")

    def program(
        self,
        step: str,
        module: str,
        *,
        inputs: Mapping[str, Any],
        outputs: Mapping[str, Any],
        mode: str | None = None,
        arguments: Sequence[Any] = (),
        instance_type: Any,
        instance_count: Any,
        output_key: Any,
        property_files: Sequence[Any] = (),
        depends_on: Sequence[Any] | None = None,
        sharded: Sequence[str] = (),
    ) -> Any:
        """Return a processing step that runs one of our programs in the XGBoost container.

        Parameters
        ----------
        module
            Python module, such as ``steps.preprocess``.
        inputs, outputs
            S3 URI by name; the program finds each in a folder of that name.
        mode
            What the program does, of one that does several things. Default: it does one.
        arguments
            What the program is told beside its folders.
        instance_type, instance_count
            Machines. A program does its whole work on each of them, so more than one gains something only where
            an input is `sharded`.
        output_key
            The one key of all outputs.
        property_files
            Files that conditions and later steps read values from.
        depends_on
            Steps to wait for, beside those that it takes values of.
        sharded
            Names of the inputs of which each machine gets some files; of all others it gets all. What the machines
            leave in an output comes to one folder, so their files' names must differ.
        """
        processor = Processor(
            role=self.role,
            image_uri=self.image,
            entrypoint=["python3", "-m", module, *([] if mode is None else [mode])],
            env={"PYTHONPATH": CODE},
            instance_count=instance_count,
            instance_type=instance_type,
            volume_size_in_gb=VOLUME_GIB,
            volume_kms_key=self.volume_key,
            output_kms_key=output_key,
            max_runtime_in_seconds=JOB_HOURS * 3600,
            base_job_name=self.job_name(step),
            network_config=self._network(isolated=True),
            sagemaker_session=self.session,
        )
        job = processor.run(
            inputs=[
                processing_input("code", self.code),
                *[processing_input(name, uri, sharded=name in sharded) for name, uri in inputs.items()],
            ],
            outputs=[processing_output(name, uri) for name, uri in outputs.items()],
            # Every path is named, so that what runs it elsewhere need not guess at a default.
            arguments=["--model", MODEL_JSON, "--input", INPUTS, "--output", OUTPUTS, *arguments],
        )
        return ProcessingStep(
            name=self.name(step),
            step_args=job,
            property_files=list(property_files),
            depends_on=None if depends_on is None else list(depends_on),
            retry_policies=job_retries(),
        )

    def train(
        self,
        step: str,
        *,
        channels: Mapping[str, Any],
        hyperparameters: Mapping[str, str],
        instance_type: Any,
        output: Any,
        output_key: Any,
    ) -> Any:
        """Return a step that trains with the built-in XGBoost algorithm.

        Parameters
        ----------
        channels
            S3 URI by channel: CSV files without header, the label first.
        hyperparameters
            Texts, as the container wants them.
        instance_type
            Machine.
        output
            S3 URI; the model comes to ``<output>/<job name>/output/model.tar.gz``.
        output_key
            Key of the model.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html
        """
        request = {
            "TrainingJobName": self.job_name(step),
            "RoleArn": self.role,
            "AlgorithmSpecification": {"TrainingImage": self.image, "TrainingInputMode": "File"},
            "HyperParameters": dict(hyperparameters),
            "InputDataConfig": [
                {
                    "ChannelName": name,
                    "ContentType": "text/csv",
                    "CompressionType": "None",
                    "DataSource": {
                        "S3DataSource": {
                            "S3DataType": "S3Prefix",
                            "S3DataDistributionType": "FullyReplicated",
                            "S3Uri": uri,
                        }
                    },
                }
                for name, uri in channels.items()
            ],
            "OutputDataConfig": {"S3OutputPath": output, "KmsKeyId": output_key},
            "ResourceConfig": {
                "InstanceType": instance_type,
                "InstanceCount": 1,
                "VolumeSizeInGB": VOLUME_GIB,
                "VolumeKmsKeyId": self.volume_key,
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": JOB_HOURS * 3600},
            "EnableNetworkIsolation": True,
            "EnableInterContainerTrafficEncryption": True,
            **self._vpc(),
        }
        return RequestStep(
            self.name(step),
            StepTypeEnum.TRAINING,
            "DescribeTrainingJobResponse",
            request,
            job_retries(),
        )

    def model(self, step: str, *, image: Any, artifact: Any) -> Any:
        """Return a step that makes a deployable model of a registered version's container.

        Parameters
        ----------
        image
            URI of the image that the version was trained and is served with.
        artifact
            S3 URI of its model.tar.gz, which may lie in another account.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModel.html
        """
        request = {
            "ModelName": self.job_name(step),
            "ExecutionRoleArn": self.role,
            "PrimaryContainer": {"Image": image, "ModelDataUrl": artifact},
            "EnableNetworkIsolation": True,
            **self._vpc(),
        }
        return RequestStep(
            self.name(step), StepTypeEnum.CREATE_MODEL, "DescribeModelOutput", request, call_retries()
        )

    def transform(
        self, step: str, *, model: Any, rows: Any, instance_type: Any, output: Any, output_key: Any
    ) -> Any:
        """Return a step that scores rows whose first column is their id, and writes ``id,score`` a line.

        A transform job has no time limit of its own; one request has ten minutes.

        Parameters
        ----------
        model
            Step that made the model.
        rows
            S3 URI of CSV files without header: the id, then the features.
        instance_type
            Machine.
        output, output_key
            Where the scores go, and their key.

        https://docs.aws.amazon.com/sagemaker/latest/dg/batch-transform-data-processing.html
        """
        request = {
            "TransformJobName": self.job_name(step),
            "ModelName": model.properties.ModelName,
            "BatchStrategy": "MultiRecord",
            "MaxPayloadInMB": 6,
            "ModelClientConfig": {"InvocationsTimeoutInSeconds": 600, "InvocationsMaxRetries": 3},
            "TransformInput": {
                "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": rows}},
                "ContentType": "text/csv",
                "CompressionType": "None",
                "SplitType": "Line",
            },
            "DataProcessing": {"InputFilter": "$[1:]", "JoinSource": "Input", "OutputFilter": "$[0,-1]"},
            "TransformOutput": {
                "S3OutputPath": output,
                "Accept": "text/csv",
                "AssembleWith": "Line",
                "KmsKeyId": output_key,
            },
            "TransformResources": {
                "InstanceType": instance_type,
                "InstanceCount": 1,
                "VolumeKmsKeyId": self.volume_key,
            },
        }
        return RequestStep(
            self.name(step), StepTypeEnum.TRANSFORM, "DescribeTransformJobResponse", request, job_retries()
        )

    def register(self, step: str, request: dict[str, Any]) -> Any:
        """Return a step that registers a model version.

        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html
        """
        return RequestStep(
            self.name(step),
            StepTypeEnum.REGISTER_MODEL,
            "DescribeModelPackageOutput",
            request,
            call_retries(),
        )

    def function(
        self,
        step: str,
        arn: str,
        *,
        inputs: Mapping[str, Any],
        outputs: Sequence[str],
        depends_on: Sequence[Any] | None = None,
    ) -> Any:
        """Return a step that calls a Lambda function.

        Parameters
        ----------
        arn
            The function's ARN, or the marker that the stack replaces by it.
        inputs
            Texts by name.
        outputs
            Names of the texts that it returns.
        depends_on
            Steps to wait for, beside those that it takes values of.
        """
        return LambdaStep(
            name=self.name(step),
            lambda_func=Lambda(function_arn=arn, session=self.session),
            inputs=dict(inputs),
            outputs=[LambdaOutput(name, LambdaOutputTypeEnum.String) for name in outputs],
            depends_on=None if depends_on is None else list(depends_on),
        )

    def model_monitor(
        self,
        step: str,
        *,
        image: Any,
        dataset: Any,
        dataset_format: Mapping[str, Any],
        output: Any,
        output_key: Any,
        instance_type: Any,
        model_package_group: Any,
        statistics: Any = None,
        constraints: Any = None,
    ) -> Any:
        """Return a Model Monitor step: a check against a baseline, or, without one, a job that computes it.

        It never fails because of what it finds. It runs without network isolation: its container is a Spark
        cluster, and isolation hasn't been tried with it.

        Parameters
        ----------
        image
            URI of Model Monitor's analyzer image.
        dataset, dataset_format
            S3 URI of the rows, and their format as `sagemaker.core.model_monitor.DatasetFormat` gives it.
        output, output_key
            Where statistics, constraints and violations go, and their key.
        instance_type
            Machine.
        model_package_group
            ARN of the group that the baseline belongs to.
        statistics, constraints
            S3 URIs of the baseline's files.

        https://docs.aws.amazon.com/sagemaker/latest/dg/build-and-manage-steps-types.html
        """
        baseline = statistics is None
        return MonitorStep(
            job_name=self.job_name(step),
            image=image,
            name=self.name(step),
            quality_check_config=DataQualityCheckConfig(
                baseline_dataset=dataset, dataset_format=dict(dataset_format), output_s3_uri=output
            ),
            check_job_config=CheckJobConfig(
                role=self.role,
                instance_count=1,
                instance_type=instance_type,
                volume_size_in_gb=VOLUME_GIB,
                volume_kms_key=self.volume_key,
                output_kms_key=output_key,
                max_runtime_in_seconds=JOB_HOURS * 3600,
                sagemaker_session=self.session,
                network_config=self._network(isolated=False)._to_request_dict(),
            ),
            skip_check=baseline,
            register_new_baseline=baseline,
            fail_on_violation=False,
            model_package_group_name=model_package_group,
            supplied_baseline_statistics=statistics,
            supplied_baseline_constraints=constraints,
        )

    def _network(self, *, isolated: bool) -> Any:
        return NetworkConfig(
            enable_network_isolation=isolated,
            encrypt_inter_container_traffic=True,
            subnets=list(self.subnets) or None,
            security_group_ids=list(self.security_groups) or None,
        )

    def _vpc(self) -> dict[str, Any]:
        if not self.subnets:
            return {}
        return {
            "VpcConfig": {
                "Subnets": list(self.subnets),
                "SecurityGroupIds": list(self.security_groups),
            }
        }
