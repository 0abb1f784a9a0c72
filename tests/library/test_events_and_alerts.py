"""Which events start what: retraining, alerts, and the alarms on what was not handled."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aws_cdk import aws_iam as iam

from cdk_mlops import (
    AlertTopic,
    CrossAccountModelRegistry,
    FailedStep,
    ModelResolver,
    PipelineAlerts,
    RetrainAfter,
    RetrainOnDriftRule,
    SageMakerPipeline,
    StageDataBucket,
)
from tests.library.library_app import (
    DEV,
    MAMMO,
    PROD,
    REGION,
    REGISTRY,
    new_stack,
    only,
    resources,
    stage_template,
    statements,
    template_of,
)


def retraining(step: str | None = None, **props: Any) -> dict[str, Any]:
    stack = new_stack()
    pipelines = {
        kind: SageMakerPipeline.from_pipeline_name(stack, kind, f"mammo-severity-{kind}-pipeline")
        for kind in ("train", "inference")
    }
    RetrainOnDriftRule(
        stack,
        "Retrain",
        model=MAMMO,
        stage="prod",
        train_pipeline=pipelines["train"],
        inference_pipeline=pipelines["inference"],
        data_bucket=StageDataBucket(stack, "Data", stage="prod"),
        registry=CrossAccountModelRegistry.from_attributes(
            stack, "Registry", account=REGISTRY, region=REGION
        ),
        failed_step=None if step is None else FailedStep(pipeline=pipelines["inference"], step_name=step),
        **props,
    )
    return template_of(stack)


def patterns(template: dict[str, Any]) -> list[dict[str, Any]]:
    return [one["Properties"]["EventPattern"] for one in resources(template, "AWS::Events::Rule").values()]


def test_the_function_reads_the_last_batches_only_where_more_than_one_must_have_drifted() -> None:
    batches = f"{MAMMO.model_name}/state/batches/*"
    every, repeated = retraining(), retraining(retrain_after=RetrainAfter(drifted=2, of=3))

    assert batches not in json.dumps(every)
    assert json.dumps(repeated).count(batches) == 2
    environment = only(repeated, "AWS::Lambda::Function")["Environment"]["Variables"]
    assert (environment["RETRAIN_AFTER_DRIFTED"], environment["RETRAIN_AFTER_OF"]) == ("2", "3")


@pytest.mark.parametrize(
    ("drifted", "of", "told"), [(0, 3, "drifted"), (4, 3, "drifted"), (1, 21, "of"), (1, 0, "of")]
)
def test_fails_when_more_batches_must_have_drifted_than_are_looked_at(
    drifted: int, of: int, told: str
) -> None:
    with pytest.raises(ValueError, match=f"^{told} must be"):
        RetrainAfter(drifted=drifted, of=of)


@pytest.mark.parametrize(
    ("retrain_on", "counted"),
    [("drift", ["drift", "model_quality"]), ("violation", ["drift", "violation", "model_quality"])],
)
def test_findings_that_count_reach_the_function_for_this_model_and_stage_only(
    retrain_on: Any, counted: list[str]
) -> None:
    (pattern,) = patterns(retraining(retrain_on=retrain_on))
    assert pattern["source"] == ["cdk-mlops"]
    assert pattern["detail-type"] == ["Batch Finding"]
    assert pattern["detail"] == {"stage": ["prod"], "model": [MAMMO.model_name], "finding": counted}


def test_a_failure_reaches_the_function_only_when_any_failure_is_asked_for() -> None:
    assert not [one for one in patterns(retraining()) if "aws.sagemaker" in one["source"]]
    (failure,) = [
        one for one in patterns(retraining(retrain_on="any_failure")) if "aws.sagemaker" in one["source"]
    ]
    assert failure["detail"]["currentPipelineExecutionStatus"] == ["Failed"]
    assert "mammo-severity-inference-pipeline" in json.dumps(failure["detail"]["pipelineArn"])


def test_a_named_steps_failure_can_count_too() -> None:
    (step,) = [one for one in patterns(retraining(step="CheckQuality")) if "stepName" in one["detail"]]
    assert step["detail"]["stepName"] == ["CheckQuality"]
    assert step["detail"]["currentStepStatus"] == ["Failed"]
    assert step["detail-type"] == ["SageMaker Model Building Pipeline Execution Step Status Change"]


def test_the_retraining_function_starts_the_train_pipeline_and_no_other() -> None:
    role = statements(only(retraining(), "AWS::IAM::Role"))
    starting = [one for one in role.values() if "sagemaker:StartPipelineExecution" in one["Action"]]
    assert len(starting) == 1
    assert starting[0]["Resource"]["Fn::Join"][1][-1].endswith(":pipeline/mammo-severity-train-pipeline")


def test_the_retraining_function_asks_only_the_runs_whose_events_it_gets() -> None:
    def asked(**props: Any) -> Any:
        found = statements(only(retraining(**props), "AWS::IAM::Role")).get("RunParameters")
        return found and (found["Action"], found["Resource"]["Fn::Join"][1][-1].removeprefix(":sagemaker:"))

    runs = f"{REGION}:{DEV}:pipeline/mammo-severity-inference-pipeline/execution/*"
    assert asked() is None
    assert asked(retrain_on="any_failure") == ("sagemaker:ListPipelineParametersForExecution", runs)
    assert asked(step="CheckQuality") == ("sagemaker:ListPipelineParametersForExecution", runs)


def test_the_notifier_and_the_recorder_reach_reports_of_batches_and_checks() -> None:
    for role in ("AlertsFunctionRole", "RecorderFunctionRole"):
        read = json.dumps(
            statements(only(stage_template(), "AWS::IAM::Role", role))["ReadReports"]["Resource"]
        )
        assert read.count("/inference/*/data-quality/") == read.count("/checks/*/data-quality/") == 1


def test_the_notifier_reaches_nothing_that_only_looks_like_a_report_further_down() -> None:
    found = statements(only(stage_template(), "AWS::IAM::Role", "AlertsFunctionRole"))
    read, refused = found["ReadReports"]["Resource"], found["NotDeeper"]["Resource"]
    ends = [one["Fn::Join"][1][-1].split("/", 1)[1] for one in read]
    assert [one["Fn::Join"][1][-1].split("/", 1)[1] for one in refused] == [f"*/{end}" for end in ends]
    listed = found["ListReports"]["Condition"]
    assert listed["StringNotLike"]["s3:prefix"] == [f"*/{one}" for one in listed["StringLike"]["s3:prefix"]]


def test_a_version_must_be_approved_unless_the_stage_says_that_any_will_do() -> None:
    def environment(**props: Any) -> Any:
        stack = new_stack()
        registry = CrossAccountModelRegistry.from_attributes(
            stack, "Registry", account=REGISTRY, region=REGION
        )
        data = StageDataBucket(stack, "Data", stage="prod")
        ModelResolver(
            stack, "Resolver", model=MAMMO, stage="prod", data_bucket=data, registry=registry, **props
        )
        return only(template_of(stack), "AWS::Lambda::Function")["Environment"]["Variables"]

    assert environment()["VERSIONS"] == "approved"
    assert environment(versions="any")["VERSIONS"] == "any"
    assert environment(versions="released")["VERSIONS"] == "released"
    with pytest.raises(ValueError, match="versions must be one of approved, released, any"):
        environment(versions="all")


def test_the_retraining_function_writes_its_decisions_only() -> None:
    role = statements(only(retraining(), "AWS::IAM::Role"))
    assert json.dumps(role["WriteDecisions"]["Resource"]).count("/state/retraining/*") == 1
    assert [sid for sid, one in role.items() if "s3:PutObject" in one["Action"]] == ["WriteDecisions"]


def test_what_the_retraining_function_failed_on_is_kept() -> None:
    template = retraining()
    rule = only(template, "AWS::Events::Rule")
    function = only(template, "AWS::Lambda::Function")
    queue = only(template, "AWS::SQS::Queue")
    assert rule["Targets"][0]["DeadLetterConfig"]
    assert rule["Targets"][0]["RetryPolicy"] == {"MaximumEventAgeInSeconds": 3600, "MaximumRetryAttempts": 2}
    assert function["DeadLetterConfig"]
    assert queue["SqsManagedSseEnabled"] is True
    assert queue["MessageRetentionPeriod"] == 14 * 86_400


def test_a_dead_letter_queue_refuses_plain_http() -> None:
    policy = only(retraining(), "AWS::SQS::QueuePolicy")["PolicyDocument"]["Statement"]
    denied = [one for one in policy if one["Effect"] == "Deny"]
    assert denied[0]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


@pytest.mark.parametrize(
    ("props", "message"),
    [
        ({"retrain_on": "monday"}, "retrain_on must be one of drift, violation, any_failure, got 'monday'"),
        ({"reminder_days": 31}, "reminder_days must be"),
        ({"training_data_prefix": "/m/data/"}, "training_data_prefix must end, but not begin, with a slash"),
        ({"training_data_prefix": "m/data"}, "training_data_prefix must end, but not begin, with a slash"),
    ],
)
def test_fails_for_a_retraining_that_cant_be(props: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        retraining(**props)


def test_one_rule_tells_of_every_failed_and_stopped_execution_whatever_the_number_of_models() -> None:
    found = [
        one
        for one in patterns(stage_template("prod", 2))
        if "currentPipelineExecutionStatus" in one["detail"]
    ]
    assert [one["detail"] for one in found] == [{"currentPipelineExecutionStatus": ["Failed", "Stopped"]}]


def test_a_drift_that_was_delivered_is_told_too() -> None:
    found = [one["detail"] for one in patterns(stage_template()) if "delivered" in one["detail"]]
    assert found == [{"stage": ["prod"], "delivered": [True]}]


def test_the_notifier_claims_alerts_and_writes_nothing_else() -> None:
    role = statements(only(stage_template(), "AWS::IAM::Role", "AlertsFunctionRole"))
    writing = [one for one in role.values() if one["Effect"] == "Allow" and "s3:PutObject" in one["Action"]]
    assert [one["Resource"]["Fn::Join"][1][-1].split("/", 1)[1] for one in writing] == ["*/state/alerts/*"]


def test_the_notifier_is_done_before_others_take_over_its_claim() -> None:
    function = only(stage_template(), "AWS::Lambda::Function", "AlertsFunction")
    assert function["Timeout"] == 120
    assert function["Environment"]["Variables"]["REGISTRY_ACCOUNT"] == REGISTRY


def test_every_dead_letter_queue_and_the_notifier_itself_have_an_alarm_that_people_get() -> None:
    template = stage_template()
    alarms = [one["Properties"] for one in resources(template, "AWS::CloudWatch::Alarm").values()]
    watched = json.dumps([one.get("Dimensions") for one in alarms])
    for queue in resources(template, "AWS::SQS::Queue"):
        assert queue in watched
    assert "Errors" in [one["MetricName"] for one in alarms]
    topic = next(iter(resources(template, "AWS::SNS::Topic")))
    assert all(one["AlarmActions"] == [{"Ref": topic}] for one in alarms)


def test_the_alerts_key_encrypts_for_the_services_that_publish() -> None:
    keys = resources(stage_template(), "AWS::KMS::Key")
    (key,) = [one["Properties"] for name, one in keys.items() if "Topic" in name]
    found = {one["Sid"]: one for one in key["KeyPolicy"]["Statement"] if "Sid" in one}
    services = [one["Principal"]["Service"] for one in found.values()]
    assert services == ["events.amazonaws.com", "cloudwatch.amazonaws.com"]
    # EventBridge sends no source to put into a condition
    assert all("Condition" not in one for one in found.values())


def test_alarms_of_this_account_only_may_publish() -> None:
    policy = only(stage_template(), "AWS::SNS::TopicPolicy")["PolicyDocument"]["Statement"]
    allowed = next(one for one in policy if one["Effect"] == "Allow")
    assert allowed["Condition"] == {"StringEquals": {"aws:SourceAccount": PROD}}


def test_alerts_can_go_to_a_topic_that_exists() -> None:
    stack = new_stack()
    arn = f"arn:aws:sns:{REGION}:{PROD}:mammography-model-notification"
    PipelineAlerts(
        stack,
        "Alerts",
        stage="prod",
        data_bucket=StageDataBucket(stack, "Data", stage="prod"),
        alerts=AlertTopic.from_topic_arn(stack, "Topic", topic_arn=arn),
    )
    template = template_of(stack)
    assert not resources(template, "AWS::SNS::Topic")
    assert statements(only(template, "AWS::IAM::Role"))["PublishAlerts"]["Resource"] == arn


def test_every_function_has_a_log_group_of_its_own_that_forgets() -> None:
    template = stage_template()
    for function in resources(template, "AWS::Lambda::Function").values():
        group = template["Resources"][function["Properties"]["LoggingConfig"]["LogGroup"]["Ref"]][
            "Properties"
        ]
        assert group["LogGroupName"] == f"/aws/lambda/{function['Properties']['FunctionName']}"
        assert group["RetentionInDays"] == 90


def test_the_recorder_announces_findings_only_under_our_name() -> None:
    role = statements(only(stage_template(), "AWS::IAM::Role", "RecorderFunctionRole"))
    assert role["Announce"]["Condition"] == {
        "ForAllValues:StringEquals": {"events:source": "cdk-mlops", "events:detail-type": "Batch Finding"},
        "Null": {"events:source": "false", "events:detail-type": "false"},
    }
    assert role["OwnMetricsKnowsNoResource"]["Condition"] == {
        "StringEquals": {"cloudwatch:namespace": "cdk-mlops"}
    }


@pytest.mark.parametrize("function", ["Resolver", "Recorder"])
def test_the_functions_of_the_steps_see_which_s3_versions_artifacts_are_but_read_none(function: str) -> None:
    role = statements(only(stage_template(), "AWS::IAM::Role", f"{function}FunctionRole"))
    (about,) = [one for one in role.values() if "artifacts" in json.dumps(one)]
    assert (about["Sid"], about["Action"]) == ("ArtifactVersions", "s3:ListBucketVersions")
    assert about["Condition"] == {"StringLike": {"s3:prefix": [f"{MAMMO.model_name}/*"]}}


def test_the_resolver_reads_descriptions_of_versions() -> None:
    role = statements(only(stage_template(), "AWS::IAM::Role", "ResolverFunctionRole"))
    assert "sagemaker:DescribeModelPackage" in json.dumps(list(role.values()))


@pytest.mark.parametrize(("recorded", "said"), [(True, "recorded"), (False, "unrecorded")])
def test_a_registry_that_records_no_approvals_can_be_used_too(recorded: bool, said: str) -> None:
    stack = new_stack()
    registry = CrossAccountModelRegistry.from_attributes(stack, "Registry", account=PROD, region=REGION)
    data = StageDataBucket.from_attributes(
        stack, "Data", bucket_name="their-bucket", key_alias_arn=f"arn:aws:kms:{REGION}:{PROD}:alias/theirs"
    )
    ModelResolver(
        stack,
        "Resolver",
        model=MAMMO,
        stage="prod",
        data_bucket=data,
        registry=registry,
        approvals_recorded=recorded,
    )
    variables = only(template_of(stack), "AWS::Lambda::Function")["Environment"]["Variables"]
    assert variables["APPROVALS"] == said


def test_a_stages_data_can_be_granted_by_prefix() -> None:
    stack = new_stack()
    role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    data = StageDataBucket.from_attributes(
        stack, "Data", bucket_name="their-bucket", key_alias_arn=f"arn:aws:kms:{REGION}:{PROD}:alias/theirs"
    )
    data.grant_read(role, "mine/*")
    listing, reading, decrypting = only(template_of(stack), "AWS::IAM::Policy")["PolicyDocument"]["Statement"]
    assert listing["Condition"] == {"StringLike": {"s3:prefix": ["mine/*"]}}
    assert reading["Resource"]["Fn::Join"][1][-1] == ":s3:::their-bucket/mine/*"
    assert decrypting["Condition"]["ForAnyValue:StringEquals"] == {"kms:ResourceAliases": "alias/theirs"}
