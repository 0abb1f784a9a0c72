"""AWS CDK constructs for multi-account SageMaker MLOps."""

from cdk_mlops._removal import ALLOW_DESTROY
from cdk_mlops.access_logs_bucket import AccessLogsBucket
from cdk_mlops.alert_topic import AlertTopic, TopicForAlerts
from cdk_mlops.audit_trail import AuditTrail
from cdk_mlops.batch_monitoring import BatchMonitoring
from cdk_mlops.batch_schedule import BatchSchedule, FlexibleWindow
from cdk_mlops.cross_account_model_registry import CrossAccountModelRegistry, RegistryStage
from cdk_mlops.delivery_alerts import DeliveryAlerts
from cdk_mlops.github_delivery_role import GitHubDeliveryRole
from cdk_mlops.jenkins_delivery_role import JenkinsDeliveryRole
from cdk_mlops.job_network import JobNetwork
from cdk_mlops.job_vpc import JobVpc
from cdk_mlops.kms_shared_key import ExternalPrincipals, KmsSharedKey, SharedKey
from cdk_mlops.model_cleanup import ModelCleanup
from cdk_mlops.model_names import ModelNames
from cdk_mlops.model_registry import ModelRegistry
from cdk_mlops.model_resolver import ModelResolver
from cdk_mlops.people_roles import DataScientistRole, OperatorRole, PipelineUsers
from cdk_mlops.pipeline import Pipeline
from cdk_mlops.pipeline_alerts import PipelineAlerts
from cdk_mlops.pipeline_definition import PipelineDefinition
from cdk_mlops.retrain_on_drift_rule import FailedStep, RetrainAfter, RetrainOnDriftRule
from cdk_mlops.roles import InferenceRole, TrainRole
from cdk_mlops.run_recorder import RunRecorder
from cdk_mlops.sagemaker_pipeline import SageMakerPipeline, SageMakerPipelineProvider
from cdk_mlops.scheduled_inference_pipeline import ScheduledInferencePipeline
from cdk_mlops.stage_check_role import StageCheckRole
from cdk_mlops.stage_data_bucket import DataBucket, StageDataBucket
from cdk_mlops.start_on_approval import StartOnApproval

__all__ = [
    "ALLOW_DESTROY",
    "AccessLogsBucket",
    "AlertTopic",
    "AuditTrail",
    "BatchMonitoring",
    "BatchSchedule",
    "CrossAccountModelRegistry",
    "DataBucket",
    "DataScientistRole",
    "DeliveryAlerts",
    "ExternalPrincipals",
    "FailedStep",
    "FlexibleWindow",
    "GitHubDeliveryRole",
    "InferenceRole",
    "JenkinsDeliveryRole",
    "JobNetwork",
    "JobVpc",
    "KmsSharedKey",
    "ModelCleanup",
    "ModelNames",
    "ModelRegistry",
    "ModelResolver",
    "OperatorRole",
    "Pipeline",
    "PipelineAlerts",
    "PipelineDefinition",
    "PipelineUsers",
    "RegistryStage",
    "RetrainAfter",
    "RetrainOnDriftRule",
    "RunRecorder",
    "SageMakerPipeline",
    "SageMakerPipelineProvider",
    "ScheduledInferencePipeline",
    "SharedKey",
    "StageCheckRole",
    "StageDataBucket",
    "StartOnApproval",
    "TopicForAlerts",
    "TrainRole",
]
