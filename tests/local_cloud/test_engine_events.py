"""Events and schedules reach their targets only with the permissions that AWS wants, else a dead-letter queue."""

from __future__ import annotations

import json
import time
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from local_cloud.cloud import LocalCloud, LocalCloudError
from tests.local_cloud.engine_kit import (
    DEV,
    PROD,
    allow,
    document,
    eventually,
    make_function,
    make_key,
    make_role,
    queue,
    received,
    unique,
)

pytestmark = pytest.mark.cloud
EVENTS, SCHEDULER = "events.amazonaws.com", "scheduler.amazonaws.com"
NOTES_ITS_EVENT = """
import boto3, json
def handler(event, context):
    boto3.client("s3").put_object(Bucket="BUCKET", Key="seen", Body=json.dumps(event))
"""


def make_rule(cloud: LocalCloud, account: str, target: dict[str, Any]) -> tuple[str, str]:
    """A rule for a source of its own with one target: its ARN and that source."""
    events, source = cloud.session(account).client("events"), unique("source")
    name = unique("rule")
    arn = events.put_rule(Name=name, EventPattern=json.dumps({"source": [source]}))["RuleArn"]
    events.put_targets(Rule=name, Targets=[{"Id": "one", **target}])
    return arn, source


def put(cloud: LocalCloud, account: str, source: str) -> None:
    entry = {"Source": source, "DetailType": "test", "Detail": json.dumps({"answer": 42})}
    cloud.session(account).client("events").put_events(Entries=[entry])


def noting_function(cloud: LocalCloud, account: str) -> tuple[str, str]:
    """A function that writes its event to a bucket: its ARN and the bucket."""
    bucket = unique("bucket")
    cloud.session(account).client("s3").create_bucket(Bucket=bucket)
    role = make_role(cloud, account, allow("s3:PutObject"), principal={"Service": "lambda.amazonaws.com"})
    return make_function(cloud, account, NOTES_ITS_EVENT.replace("BUCKET", bucket), role), bucket


def noted(cloud: LocalCloud, account: str, bucket: str) -> Any:
    s3 = cloud.session(account).client("s3")
    if not s3.list_objects_v2(Bucket=bucket)["KeyCount"]:
        return None
    return json.loads(s3.get_object(Bucket=bucket, Key="seen")["Body"].read())


def permit(cloud: LocalCloud, function: str, source_arn: str, service: str = EVENTS) -> None:
    cloud.session(DEV).client("lambda").add_permission(
        FunctionName=function,
        StatementId=unique("s"),
        Action="lambda:InvokeFunction",
        Principal=service,
        SourceArn=source_arn,
    )


def test_a_rule_invokes_a_function_that_lets_it(engine: LocalCloud) -> None:
    function, bucket = noting_function(engine, DEV)
    rule, source = make_rule(engine, DEV, {"Arn": function})
    permit(engine, function, rule)
    put(engine, DEV, source)
    assert eventually(lambda: noted(engine, DEV, bucket))["detail"] == {"answer": 42}


def test_a_rule_without_permission_sends_the_event_to_its_dead_letter_queue(engine: LocalCloud) -> None:
    function, bucket = noting_function(engine, DEV)
    url, arn = queue(engine, DEV, EVENTS)
    rule, source = make_rule(engine, DEV, {"Arn": function, "DeadLetterConfig": {"Arn": arn}})
    permit(engine, function, rule.replace("rule/", "rule/another-"))
    put(engine, DEV, source)
    letter = eventually(lambda: received(engine, DEV, url))[0]
    assert json.loads(letter["Body"])["detail"] == {"answer": 42}
    assert letter["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_PERMISSIONS"
    assert letter["MessageAttributes"]["RULE_ARN"]["StringValue"] == rule
    assert noted(engine, DEV, bucket) is None


@pytest.mark.parametrize("admits", [True, False])
def test_a_queue_gets_events_only_if_its_policy_admits_them(engine: LocalCloud, admits: bool) -> None:
    url, arn = queue(engine, DEV, *([EVENTS] if admits else []))
    _, source = make_rule(engine, DEV, {"Arn": arn, "InputPath": "$.detail"})
    put(engine, DEV, source)
    bodies = [message["Body"] for message in received(engine, DEV, url)]
    assert bodies == (['{"answer": 42}'] if admits else [])


@pytest.mark.parametrize(("topic_admits", "key_admits"), [(True, True), (True, False), (False, True)])
def test_an_encrypted_topic_gets_events_only_if_topic_and_key_admit_them(
    engine: LocalCloud, topic_admits: bool, key_admits: bool
) -> None:
    service = {"Principal": {"Service": EVENTS}}
    admit = {**service, **allow("kms:GenerateDataKey*", "kms:Decrypt")}
    key = make_key(engine, DEV, *([admit] if key_admits else []))
    sns = engine.session(DEV).client("sns")
    topic = sns.create_topic(Name=unique("topic"), Attributes={"KmsMasterKeyId": key})["TopicArn"]
    if topic_admits:
        policy = document({**service, **allow("sns:Publish", on=topic)})
        sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy)
    _, source = make_rule(engine, DEV, {"Arn": topic})
    put(engine, DEV, source)
    assert len(engine.messages(topic)) == (1 if topic_admits and key_admits else 0)


def started(cloud: LocalCloud) -> list[dict[str, Any]]:
    """What the stand-in for SageMaker was asked to start."""
    summaries = cloud.session(DEV).client("sagemaker").list_pipelines()["PipelineSummaries"]
    return [json.loads(summary["PipelineName"]) for summary in summaries]


def pipeline_target(role: str, name: str) -> dict[str, Any]:
    parameters = [{"Name": "transform_input", "Value": "s3://x"}]
    return {
        "Arn": f"arn:aws:sagemaker:us-east-1:{DEV}:pipeline/{name}",
        "RoleArn": role,
        "SageMakerPipelineParameters": {"PipelineParameterList": parameters},
    }


@pytest.mark.parametrize(
    ("principal", "action", "starts"),
    [
        (EVENTS, "sagemaker:StartPipelineExecution", True),
        (EVENTS, "sagemaker:DescribePipeline", False),
        (SCHEDULER, "sagemaker:StartPipelineExecution", False),
    ],
)
def test_a_rule_starts_a_pipeline_under_a_role(
    engine: LocalCloud, principal: str, action: str, starts: bool
) -> None:
    role, name = make_role(engine, DEV, allow(action), principal={"Service": principal}), unique("pipeline")
    _, source = make_rule(engine, DEV, pipeline_target(role, name))
    put(engine, DEV, source)
    assert [one for one in started(engine) if one["arn"].endswith(name)] == (
        [
            {
                "arn": f"arn:aws:sagemaker:us-east-1:{DEV}:pipeline/{name}",
                "parameters": [{"Name": "transform_input", "Value": "s3://x"}],
                "account": DEV,
            }
        ]
        if starts
        else []
    )


@pytest.mark.parametrize("bus_admits", [True, False])
def test_an_event_crosses_accounts_with_a_role_and_a_bus_policy(engine: LocalCloud, bus_admits: bool) -> None:
    bus = unique("bus")
    events = engine.session(PROD).client("events")
    bus_arn = events.create_event_bus(Name=bus)["EventBusArn"]
    if bus_admits:
        events.put_permission(EventBusName=bus, StatementId="dev", Action="events:PutEvents", Principal=DEV)
    url, queue_arn = queue(engine, PROD, EVENTS)
    sender = make_role(engine, DEV, allow("events:PutEvents", on=bus_arn), principal={"Service": EVENTS})
    _, source = make_rule(engine, DEV, {"Arn": bus_arn, "RoleArn": sender})
    events.put_rule(Name=bus, EventBusName=bus, EventPattern=json.dumps({"source": [source]}))
    events.put_targets(Rule=bus, EventBusName=bus, Targets=[{"Id": "one", "Arn": queue_arn}])
    put(engine, DEV, source)
    assert len(received(engine, PROD, url)) == (1 if bus_admits else 0)


def make_schedule(cloud: LocalCloud, target: dict[str, Any], **more: Any) -> str:
    name = unique("schedule")
    expression = {"ScheduleExpression": "cron(0 23 * * ? *)"}
    cloud.session(DEV).client("scheduler").create_schedule(
        Name=name, FlexibleTimeWindow={"Mode": "OFF"}, Target=target, **{**expression, **more}
    )
    return name


def test_a_schedule_fires_when_the_clock_is_moved(engine: LocalCloud) -> None:
    group = f"arn:aws:scheduler:us-east-1:{DEV}:schedule-group/default"
    when = {"StringEquals": {"aws:SourceAccount": DEV, "aws:SourceArn": group}}
    start = allow("sagemaker:StartPipelineExecution")
    role = make_role(engine, DEV, start, principal={"Service": SCHEDULER}, when=when)
    name = unique("pipeline")
    schedule = make_schedule(engine, pipeline_target(role, name))
    assert not [one for one in started(engine) if one["arn"].endswith(name)]
    engine.fire_schedules(DEV, name=schedule)
    assert len([one for one in started(engine) if one["arn"].endswith(name)]) == 1


@pytest.mark.parametrize("name", ["missing-pipeline", "forbidden"])
def test_a_schedule_that_fails_leaves_a_dead_letter(engine: LocalCloud, name: str) -> None:
    url, arn = queue(engine, DEV)
    may_start = [] if name == "forbidden" else [allow("sagemaker:StartPipelineExecution")]
    send = allow("sqs:SendMessage", on=arn)
    role = make_role(engine, DEV, send, *may_start, principal={"Service": SCHEDULER})
    target = {**pipeline_target(role, name), "DeadLetterConfig": {"Arn": arn}, "Input": "{}"}
    schedule = make_schedule(engine, target)
    with pytest.raises(LocalCloudError, match="does not exist" if may_start else "may not sagemaker"):
        engine.fire_schedules(DEV, name=schedule)
    attributes = received(engine, DEV, url)[0]["MessageAttributes"]
    assert attributes["SCHEDULE_ARN"]["StringValue"].endswith(schedule)
    assert attributes["TARGET_ARN"]["StringValue"] == target["Arn"]


def test_a_schedule_invokes_a_function_under_its_role(engine: LocalCloud) -> None:
    function, bucket = noting_function(engine, DEV)
    role = make_role(
        engine, DEV, allow("lambda:InvokeFunction", on=function), principal={"Service": SCHEDULER}
    )
    text = json.dumps({"at": "<aws.scheduler.scheduled-time>"})
    engine.fire_schedules(DEV, name=make_schedule(engine, {"Arn": function, "RoleArn": role, "Input": text}))
    event = eventually(lambda: noted(engine, DEV, bucket))
    assert time.strptime(event["at"], "%Y-%m-%dT%H:%M:%SZ")


def test_firing_an_unknown_or_disabled_schedule_says_so(engine: LocalCloud) -> None:
    with pytest.raises(LocalCloudError, match="no schedule default/none in account"):
        engine.fire_schedules(DEV, name="none")
    role = make_role(engine, DEV, principal={"Service": SCHEDULER})
    disabled = make_schedule(engine, pipeline_target(role, "p"), State="DISABLED")
    with pytest.raises(LocalCloudError, match="is disabled"):
        engine.fire_schedules(DEV, name=disabled)


def at(seconds: float, zone: str = "UTC") -> dict[str, Any]:
    """An expression that names a moment from now."""
    moment = datetime.now(ZoneInfo(zone)) + timedelta(seconds=seconds)
    return {"ScheduleExpression": f"at({moment:%Y-%m-%dT%H:%M:%S})", "ScheduleExpressionTimezone": zone}


def starter(cloud: LocalCloud) -> tuple[dict[str, Any], str]:
    """A target that starts a pipeline of its own, and that pipeline's name."""
    start = allow("sagemaker:StartPipelineExecution")
    role, name = make_role(cloud, DEV, start, principal={"Service": SCHEDULER}), unique("pipeline")
    return pipeline_target(role, name), name


def names_of_schedules(cloud: LocalCloud) -> list[str]:
    return [one["Name"] for one in cloud.session(DEV).client("scheduler").list_schedules()["Schedules"]]


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo"])
def test_a_one_time_schedule_fires_once_in_its_second_and_goes_where_it_says_so(
    engine: LocalCloud, zone: str
) -> None:
    (stays, first), (goes, second) = starter(engine), starter(engine)
    kept = make_schedule(engine, stays, **at(1, zone))
    gone = make_schedule(engine, goes, **at(1, zone), ActionAfterCompletion="DELETE")
    eventually(lambda: len([one for one in started(engine) if one["arn"].endswith((first, second))]) == 2)
    time.sleep(0.6)  # two more sweeps
    assert len([one for one in started(engine) if one["arn"].endswith((first, second))]) == 2
    assert kept in names_of_schedules(engine)
    assert gone not in names_of_schedules(engine)


def test_a_one_time_schedule_that_is_off_or_past_never_fires(engine: LocalCloud) -> None:
    (off, first), (past, second), (due, third) = starter(engine), starter(engine), starter(engine)
    make_schedule(engine, off, **at(0.5), State="DISABLED")
    make_schedule(engine, past, **at(-30))
    make_schedule(engine, due, **at(1.2))
    eventually(lambda: [one for one in started(engine) if one["arn"].endswith(third)])
    assert not [one for one in started(engine) if one["arn"].endswith((first, second))]


@pytest.mark.parametrize("key_admits", [True, False])
def test_an_alarm_reaches_an_encrypted_topic_only_if_the_key_admits_it(
    engine: LocalCloud, key_admits: bool
) -> None:
    service = {"Principal": {"Service": "cloudwatch.amazonaws.com"}}
    admit = {**service, **allow("kms:GenerateDataKey*", "kms:Decrypt")}
    key = make_key(engine, DEV, *([admit] if key_admits else []))
    sns, cloudwatch = engine.session(DEV).client("sns"), engine.session(DEV).client("cloudwatch")
    topic = sns.create_topic(Name=unique("topic"), Attributes={"KmsMasterKeyId": key})["TopicArn"]
    name = unique("metric")
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        AlarmActions=[topic],
        Namespace="test",
        MetricName=name,
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
    )
    cloudwatch.put_metric_data(Namespace="test", MetricData=[{"MetricName": name, "Value": 1.0}])
    assert [message.subject[:5] for message in engine.messages(topic)] == (["ALARM"] if key_admits else [])


@pytest.mark.parametrize("lets", [True, False])
def test_a_topic_invokes_a_function_that_lets_it(engine: LocalCloud, lets: bool) -> None:
    function, bucket = noting_function(engine, DEV)
    sns = engine.session(DEV).client("sns")
    topic = sns.create_topic(Name=unique("topic"))["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=function)
    if lets:
        permit(engine, function, topic, "sns.amazonaws.com")
    sns.publish(TopicArn=topic, Subject="s", Message="hello")
    if lets:
        found = eventually(lambda: noted(engine, DEV, bucket))
        assert found["Records"][0]["Sns"]["Message"] == "hello"
    else:
        time.sleep(0.5)
        assert noted(engine, DEV, bucket) is None


@pytest.mark.parametrize("may", [True, False])
def test_a_function_that_fails_leaves_a_dead_letter_if_its_role_may_send(
    engine: LocalCloud, may: bool
) -> None:
    url, arn = queue(engine, DEV)
    own = [allow("sqs:SendMessage", on=arn)] if may else []
    role = make_role(engine, DEV, *own, principal={"Service": "lambda.amazonaws.com"})
    code = "def handler(event, context):\n    raise ValueError(event)\n"
    function = make_function(engine, DEV, code, role, DeadLetterConfig={"TargetArn": arn})
    functions = engine.session(DEV).client("lambda")
    functions.put_function_event_invoke_config(FunctionName=function, MaximumRetryAttempts=0)
    rule, source = make_rule(engine, DEV, {"Arn": function})
    permit(engine, function, rule)
    put(engine, DEV, source)
    if may:
        assert eventually(lambda: received(engine, DEV, url))
    else:
        time.sleep(1)
        assert not received(engine, DEV, url)
