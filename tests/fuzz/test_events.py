"""Events that are mangled, or of somebody else, through every function: ignored, or a named error; nothing is started.

`tests.fuzz.fuzzing` says how to run more examples.
"""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import event as note
from hypothesis import given
from hypothesis import strategies as st

from model_resolver.handler import resolve
from run_recorder.handler import record
from sagemaker_pipeline.handler import respond
from shared.cloudformation import Request
from tests.fuzz.fuzzing import LINE_LIMIT, fuzz, one_line
from tests.handlers import delivery_world, notifier_world
from tests.handlers import test_approval_notifier as approvals
from tests.handlers import test_approval_starter as starter
from tests.handlers import test_model_resolver as resolver
from tests.handlers import test_retrain as retrain
from tests.handlers import test_run_recorder as recorder
from tests.handlers import test_sagemaker_pipeline as custom
from tests.handlers.fake_aws import Context, group_arn

Event = dict[str, Any]

ODD: list[Any] = [
    *(None, True, False, 0, -1, 7, 1e308, 10**30, [], {}, [[]], {"a": None}, ["x"]),
    *("", " ", "x", "a\nb", "\x1b[31m", "\ud800", "x" * 3000, "${x}", "$(id)", "../..", "1" * 5000, "nan"),
    *("Failed", "Approved", "drift", "prod", "Batch Finding", "2026-13-45T99:00:00Z"),
    *("s3://", "s3://b", "s3://data/../x", "s3://bucket", "arn:", "arn:aws:sagemaker:::"),
    *("arn:aws:sagemaker:r:1:pipeline/p/execution/e", "arn:aws:sagemaker:r:1:model-package/g/\u0663"),
]


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each place in a JSON value: its holder and its key."""
    if isinstance(value, dict | list):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from places(value[key])


@st.composite
def mangled(draw: st.DrawFn, *sound: Event) -> Event:
    """Return one of the events with one to three changes, or hardly anything of it."""
    result = copy.deepcopy(draw(st.sampled_from(sound)))
    for _ in range(draw(st.integers(1, 3))):
        found = list(places(result))
        if not found:
            break
        holder, key = draw(st.sampled_from(found))
        if draw(st.booleans()):
            holder[key] = copy.deepcopy(draw(st.sampled_from(ODD)))
        elif isinstance(holder, dict):
            del holder[key]
    return result


def outcome(work: Callable[[], Any]) -> Any:
    """Return what a function answers; None where it raises an error that has a name of ours, or is AWS's answer."""
    try:
        answer = work()
    except ClientError:
        note("AWS refuses")
        return None
    except Exception as error:
        if type(error).__module__.split(".")[0] not in NAMED or not str(error).strip():
            raise
        note("named error")
        return None
    note("ignored" if "ignored" in str(answer) else "answered")
    return answer


NAMED = (
    *("shared", "retrain", "pipeline_notifier", "approval_notifier", "approval_starter", "run_recorder"),
    *("model_resolver", "delivery_notifier", "sagemaker_pipeline", "model_cleanup"),
)


@fuzz(250)
@given(mangled(retrain.finding(), retrain.failure(), {}))
def test_a_retraining_is_started_by_a_finding_about_the_model_only(event: Event) -> None:
    world = retrain.World("any_failure")
    answer = outcome(lambda: world.decide(event))

    if world.started:
        assert answer is not None
        assert event["detail-type"] in ("Batch Finding", retrain.failure()["detail-type"])
        assert event["detail"].get("model") in (None, "model")
        assert all(
            call["PipelineName"] == retrain.TRAIN for call in world.sagemaker.called("StartPipelineExecution")
        )
    for key in world.s3.objects[retrain.DATA]:
        assert key.startswith("model/")
        assert ".." not in key.split("/")


@fuzz(250)
@given(mangled(notifier_world.World().event(), notifier_world.World().finding(), {}))
def test_an_alert_is_one_message_with_a_printable_subject_or_none(event: Event) -> None:
    world = notifier_world.World()
    world.drifts()
    answer = outcome(lambda: world.notify(event))

    assert len(world.sns.published) == (1 if answer == "sent" else 0)
    for key in world.s3.objects[notifier_world.DATA]:
        assert ".." not in key.split("/")


@fuzz(150)
@given(
    mangled(
        approvals.World().event("PendingManualApproval"),
        approvals.World().event("Approved"),
        {"action": "remind"},
    )
)
def test_a_notice_of_a_version_is_sent_for_groups_of_ours_only(event: Event) -> None:
    world = approvals.World()
    answer = outcome(lambda: world.notifier.tell_status(event, "one"))

    assert len(world.sns.published) == (1 if answer and answer["notice"] == "sent" else 0)
    if world.sns.published:
        assert f"/{approvals.GROUP}/" in event["detail"]["ModelPackageArn"]


@fuzz(150)
@given(mangled(starter.approved(), {}))
def test_a_release_is_started_for_models_of_ours_only(event: Event) -> None:
    world = starter.World()
    answer = outcome(lambda: world.start(event))

    started = world.codepipeline.called("StartPipelineExecution")
    assert len(started) == (1 if answer and answer["release"] == "started" else 0)
    for call in started:
        variables = {one["name"]: one["value"] for one in call["variables"]}
        assert variables["MODEL"] == starter.MODEL
        assert variables["VERSION"].isascii()
        assert variables["VERSION"].isdecimal()


@fuzz(150)
@given(mangled(delivery_world.ends("FAILED"), delivery_world.acts("Prod", "PromoteToProd"), {}))
def test_the_delivery_tells_of_its_own_pipeline_only(event: Event) -> None:
    world = delivery_world.World().gets_to("Prod", "Check", reason="exit status 1")
    answer = outcome(lambda: world.tell(event))

    assert len(world.sns.published) == (1 if answer == "sent" else 0)
    if world.sns.published:
        assert event["detail"]["pipeline"] == delivery_world.PIPELINE


@fuzz(250)
@given(
    mangled(
        {
            "detail": recorder.VERDICT
            | {"violations": [{"feature_name": "a", "constraint_check_type": "b", "description": "c"}]}
        }
    ),
    st.sampled_from(["drift", "violation"]),
)
def test_whatever_a_verdict_says_the_event_and_the_steps_output_hold(event: Event, finding: str) -> None:
    world = recorder.World()
    verdict = event.get("detail")
    message = outcome(lambda: world.announce(verdict if isinstance(verdict, dict) else {}, finding=finding))

    if message is None:
        assert not world.events.calls
    else:
        assert one_line(message), message
        assert len(message) <= LINE_LIMIT
        (detail,) = world.events.details()
        assert detail["finding"] == finding
        assert len(json.dumps(detail)) < 200_000


ANSWERED = notifier_world.lambda_error("E", "\ud800")
REPORT = f"s3://{recorder.DATA}/{recorder.FOLDER}"
RECORDED: list[Event] = [
    {
        "action": "announce_finding", "finding": "drift", "verdict_uri": f"{REPORT}/verdict.json", "delivered": "false",
        "pipeline_name": "p", "execution_id": "run1", "batch_uri": "s3://data/b.csv", "model_version": "1",
    },
    {
        "action": "explain_rejection", "cv_auc": "0.8", "threshold": "0.85", "gain_over_champion": "0.1",
        "min_gain": "-0.02", "champion_version": "2",
    },
    {"action": "read_violations", "report_uri": REPORT, "predictions_on_drift": "withhold"},
]  # fmt: skip


@fuzz(250)
@given(mangled(*RECORDED))
def test_the_recorder_answers_a_step_in_short_texts_or_with_a_named_error(event: Event) -> None:
    world = recorder.World()
    world.s3.put(recorder.DATA, f"{recorder.FOLDER}/verdict.json", recorder.VERDICT)
    world.s3.put(recorder.DATA, f"{recorder.FOLDER}/statistics.json", {"dataset": {"item_count": 3}})
    world.s3.put(recorder.DATA, f"{recorder.FOLDER}/constraint_violations.json", {"violations": []})
    answer = outcome(lambda: record(world.recorder, event))

    for value in (answer or {}).values():
        assert isinstance(value, str)
        assert len(value) <= LINE_LIMIT


@fuzz(200)
@given(
    mangled(
        {
            "action": "resolve_model", "model_package_group_arn": group_arn(resolver.GROUP),
            "transform_input": f"s3://{resolver.DATA}/{resolver.BATCH}", "started_at": "2026-11-20T23:00:00Z",
            "rescore": "false", "model_version_wanted": "newest_approved",
        },
        {"action": "resolve_champion", "model_package_group_arn": group_arn(resolver.GROUP), "none_uri": "s3://c/n"},
    )
)  # fmt: skip
def test_the_resolver_answers_a_step_in_short_texts_or_with_a_named_error(event: Event) -> None:
    world = resolver.World()
    world.s3.put(resolver.DATA, resolver.BATCH, b"1,2,3\n")
    world.sagemaker.add_version(resolver.GROUP, "Approved", **resolver.metrics("one"))
    answer = outcome(lambda: resolve(world.resolver, event))

    for value in (answer or {}).values():
        assert isinstance(value, str)
        assert len(value) <= LINE_LIMIT


def request() -> Event:
    return {
        "RequestType": "Create", "ResponseURL": "https://cloudformation/answer", "StackId": custom.STACK,
        "RequestId": custom.RUN_1, "LogicalResourceId": "Pipeline", "ResourceProperties": custom.properties(),
    }  # fmt: skip


@fuzz(250)
@given(mangled(request(), request() | {"RequestType": "Delete", "PhysicalResourceId": custom.NAME}))
def test_cloudformation_gets_one_answer_in_one_line_whatever_it_asks_for(event: Event) -> None:
    world = custom.World()
    parsed: Request | None = outcome(lambda: Request.parse(event))
    if parsed is None:
        return
    answers: list[bytes] = []
    clients = {"s3": world.s3, "sagemaker": world.sagemaker}
    with redirect_stdout(io.StringIO()) as log:
        respond(
            parsed, Context(), clients.__getitem__, lambda url, body: answers.append(body),
            world.clock.sleep, world.clock.monotonic,
        )  # fmt: skip
    (body,) = answers
    answer = json.loads(body)
    # CloudFormation's own ids come back as they are, and it makes none of 3,000 characters
    assert len(body) <= 4096 + sum(len(answer[name]) for name in answer if name.endswith("Id"))
    assert answer["Status"] in ("SUCCESS", "FAILED")
    note(answer["Status"])
    assert answer["Status"] == "SUCCESS" or one_line(answer["Reason"]), answer["Reason"]
    # the fake says by an AssertionError what boto3 says of a request that no service would take
    words = answer["Reason"].partition(" (log ")[0]
    assert not words.startswith("unexpected") or words.startswith(
        ("unexpected AssertionError: ", "unexpected ClientError: ", "unexpected UnicodeEncodeError: ")
    ), words
    assert all(json.loads(line) for line in log.getvalue().splitlines())
    for key in world.s3.objects["data"]:
        assert ".." not in key.split("/")


@pytest.mark.parametrize(
    "text", ["$(touch escaped)", "`touch escaped`", "'; touch escaped; '", "a\nb", '"', "\\"]
)
def test_what_a_definition_is_filled_with_stays_one_text_of_it(text: str) -> None:
    world = custom.World()
    answer = world.send("Create", ParameterDefaults={"RoleArn": text, "AucScoreThreshold": "0.85"})

    assert answer["Status"] == "SUCCESS"
    definition = world.definition()
    assert {one["Name"]: one["DefaultValue"] for one in definition["Parameters"]}["RoleArn"] == text


@fuzz(200)
@given(
    mangled({"detail": recorder.VERDICT | {"violations": [recorder.BROKEN]}}),
    st.sampled_from(["Mammo-DriftFail", "Mammo-ViolationFail", "Mammo-ResolveModel", "\x1b", ""]),
    st.sampled_from(
        ["DataDriftDetected: ", "DataQualityViolated: a\n\x00b", "NoApprovedModel", "", "{", ANSWERED]
    ),
    st.sampled_from(ODD),
)
def test_whatever_a_run_failed_with_people_get_one_message(
    event: Event, step: str, reason: str, decision: Any
) -> None:
    world = notifier_world.World()
    verdict = event.get("detail")
    world.verdict(**(verdict if isinstance(verdict, dict) else {"features": verdict}))
    world.fails(step, reason)
    world.decides(decision=decision, reason=decision)

    assert world.notify() == "sent"
    assert one_line(world.subject)
    assert all(one_line(line) for line in world.body.splitlines() if line)
