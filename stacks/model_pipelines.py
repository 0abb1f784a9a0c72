"""One model in one stage: its functions, roles and three pipelines."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path
from typing import Literal

import aws_cdk as cdk
from constructs import Construct

from cdk_mlops import (
    DataBucket,
    InferenceRole,
    JobNetwork,
    ModelNames,
    ModelRegistry,
    ModelResolver,
    RunRecorder,
    SageMakerPipeline,
    SageMakerPipelineProvider,
    TrainRole,
)
from pipeline_code import definitions
from pipeline_code.lock import verify
from stacks.installation import Model, PipelineKind, Settings, Stage


class ModelPipelines(Construct):
    """The train, inference and quality pipelines of a model in a stage, with all that they run on.

    Parameters
    ----------
    settings, stage, model
        What is deployed where.
    names
        The model's names as the library takes them.
    data, registry
        Where the pipelines read and write.
    network
        Where their jobs run; None leaves it to SageMaker.

    Attributes
    ----------
    features, measured
        Names of the columns that the model reads, and of what is measured of every batch: these, and the scores where
        our own monitor checks.
    train, inference, quality
        The pipelines; the last two have one role.
    resolver, recorder
        The functions of their Lambda steps.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Settings,
        stage: Stage,
        model: Model,
        names: ModelNames,
        data: DataBucket,
        registry: ModelRegistry,
        network: JobNetwork | None,
    ) -> None:
        super().__init__(scope, construct_id)
        verify(model.folder)
        self._settings, self._stage, self._model = settings, stage, model
        self._data, self._registry, self._names = data, registry, names
        self._network = network
        self._compiled = definitions.load(model.folder, settings.variant)
        self._code = _code_folder(model.folder)
        self.features = self._compiled.features
        monitored_elsewhere = settings.monitor == "model-monitor"
        self.measured = self.features if monitored_elsewhere else ["(prediction)", *self.features]
        self.resolver = ModelResolver(
            self,
            "Resolver",
            model=names,
            stage=stage.name,
            data_bucket=data,
            registry=registry,
            versions=_versions(settings, stage),
            # A branch's versions lie beside its artifacts in dev's account: who may write these approves those.
            approvals_recorded=model.branch_of is None,
        )
        self.recorder = RunRecorder(
            self,
            "Recorder",
            model=names,
            stage=stage.name,
            data_bucket=data,
            registry=registry,
            writes_verdicts=monitored_elsewhere,
        )
        # One a model: a resource can't change its provider later, so it must not depend on how many models there are.
        self._provider = SageMakerPipelineProvider(
            self, "Provider", stage=stage.name, prefix=model.prefix, log_key=data.key
        )
        self.train = self._pipeline("train", self._role("TrainRole", TrainRole))
        role = self._role("InferenceRole", InferenceRole)
        self.inference = self._pipeline("inference", role)
        self.quality = self._pipeline("quality", role)

    def _role(
        self, construct_id: str, role_class: type[TrainRole] | type[InferenceRole]
    ) -> TrainRole | InferenceRole:
        settings = self._settings
        return role_class(
            self,
            construct_id,
            model=self._names,
            stage=self._stage.name,
            data_bucket=self._data,
            registry=self._registry,
            functions=[self.resolver.function, self.recorder.function],
            image_repository_arns=[_repository_arn(settings, image) for image in settings.images],
            network=self._network,
            isolated_processing=settings.monitor == "own",
        )

    def _pipeline(self, kind: PipelineKind, role: TrainRole | InferenceRole) -> SageMakerPipeline:
        stage, model, settings = self._stage, self._model, self._settings
        # Names of jobs begin in the compiled definition with main's prefix.
        compiled = model.prefix if model.branch_of is None else model.branch_of.prefix
        return SageMakerPipeline(
            self,
            kind.title(),
            pipeline_name=stage.pipeline_name(model, kind),
            stage=stage.name,
            definition=getattr(self._compiled, kind),
            role=role.role,
            parameter_defaults=self._parameters(kind, role.role_arn),
            functions={"ModelResolver": self.resolver.function, "RunRecorder": self.recorder.function},
            code=str(self._code),
            code_bucket=self._data,
            code_prefix=f"{model.model_name}/scripts",
            rename_jobs=None if self._names.jobs == compiled else {compiled: self._names.jobs},
            tags={
                "mlops:model": model.model_name,
                "mlops:prefix": model.prefix,
                "mlops:kind": kind,
                "mlops:commit": settings.commit,
                "mlops:retrain-on": "none" if kind == "train" else stage.retrain_on(model),
            },
            provider=self._provider,
        )

    def _parameters(self, kind: PipelineKind, role_arn: str) -> dict[str, str]:
        settings, stage, model = self._settings, self._stage, self._model
        home, data = (
            f"s3://{stage.data_bucket_name}/{name}" for name in (model.model_name, f"{model.data_name}/data")
        )
        values = {
            "RoleArn": role_arn,
            "ImageUri": settings.image_uri,
            "RunUri": f"{home}/{kind}",
            "DataKeyArn": self._data.key.alias_arn,
            "ModelPackageGroupArn": self._registry.package_group_arn(self._names),
            "ProcessingInstanceType": model.instance_types.processing,
            "GitCommit": settings.commit,
            "DefinitionSha256": getattr(self._compiled, f"{kind}_sha256"),
        }
        if kind == "quality":
            return values | {"ground_truth_input": f"{data}/ground-truth/"} | self._places()
        if kind == "train":
            values |= {
                "ArtifactsUri": f"s3://{self._registry.artifacts_bucket_name}/{model.model_name}/{stage.name}",
                "ArtifactsKeyArn": self._registry.key.alias_arn,
                # The slash keeps SageMaker from reading all keys that begin so, such as train-dataset-old/.
                "InputDataUrl": f"{data}/train-dataset/",
                "TrainingInstanceType": model.instance_types.training,
                "AucScoreThreshold": str(model.thresholds.auc),
                "MinGainOverChampion": str(-model.thresholds.champion_margin),
            }
        else:
            values |= {
                "transform_input": f"{data}/batch-dataset/{model.batch}",
                "TransformInstanceType": model.instance_types.transform,
                "PredictionsOnDrift": model.predictions_on_drift,
            }
            if settings.monitor == "own":  # Model Monitor's limits are in its baseline
                values["DriftThreshold"] = str(model.thresholds.drift)
        if settings.monitor == "model-monitor":
            values["MonitorImageUri"] = settings.monitor_image_uri
        return values | self._places()

    def _places(self) -> dict[str, str]:
        if self._network is None:
            return {}
        first, second = self._network.subnets
        (group,) = self._network.security_groups
        return {"SubnetId1": first, "SubnetId2": second, "SecurityGroupId": group}


def _versions(settings: Settings, stage: Stage) -> Literal["approved", "released", "any"]:
    """Return which versions a stage uses: elsewhere than in prod one may be tried before it is approved."""
    if stage.name != "prod":
        return "any"
    return "released" if settings.delivery and settings.delivery.approve_versions else "approved"


def _repository_arn(settings: Settings, image: str) -> str:
    """Return the ECR repository of an image such as ``123.dkr.ecr.us-east-1.amazonaws.com/name:tag``."""
    host, name = image.split("/", 1)
    account, region = host.split(".")[0], host.split(".")[3]
    return f"arn:{settings.partition}:ecr:{region}:{account}:repository/{name.split(':')[0]}"


def _code_folder(folder: str) -> Path:
    """Write what a model's jobs run to a folder that lasts as long as the synthesis."""
    target = Path(tempfile.mkdtemp(prefix="mlops-code-"))
    atexit.register(shutil.rmtree, target, ignore_errors=True)
    return definitions.write_code(folder, target)


def removal_of(settings: Settings) -> cdk.RemovalPolicy | None:
    """Return what happens to data when a stack goes: they stay, but in a throw-away installation."""
    return cdk.RemovalPolicy.DESTROY if settings.throw_away else None
