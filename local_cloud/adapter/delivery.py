"""Events to targets as EventBridge and its Scheduler deliver them: with permissions, and dead-letter queues."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

from local_cloud.adapter import hooks, keys, recording
from local_cloud.adapter.identity import account_of, assumable_role, role_may

EVENTS = "events.amazonaws.com"
SCHEDULER = "scheduler.amazonaws.com"
logger = logging.getLogger("local_cloud.delivery")


class DeliveryError(Exception):
    """An event didn't reach its target; `code` is what AWS writes on the dead letter."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def _no_permission(message: str) -> DeliveryError:
    return DeliveryError("NO_PERMISSIONS", message)


def service_may(service: str, action: str, resource: str, source_arn: str | None) -> bool:
    """Whether a resource's own policy lets a service act on it."""
    evaluator = hooks.module("core.iam_evaluator")
    policy = evaluator._resource_policy(action.partition(":")[0], resource)
    if policy is None:
        return False
    context: dict[str, Any] = {"aws:principalisawsservice": "true"}
    if source_arn:
        context |= {"aws:sourcearn": source_arn, "aws:sourceaccount": account_of(source_arn)}
        if service != EVENTS:
            # A topic's default policy asks for the owner; EventBridge alone doesn't say whom it acts for.
            context["aws:sourceowner"] = account_of(source_arn)
    if action.startswith("kms:"):
        context |= keys.condition_context(keys.find_key(resource) or {"Arn": resource, "KeyId": ""})
    ctx = evaluator.EvalContext(
        principal_arn=service,
        principal_type="Service",
        principal_account="",
        action=action,
        resource_arn=resource,
        region=resource.split(":")[3],
        secure_transport=True,
        service_context=context,
    )
    allowed = bool(evaluator.evaluate_resource_policy(policy[0], ctx, service=service).decision == "Allow")
    recording.note(service, action, resource, allowed=allowed, condition_keys=context)
    return allowed


def _require_role(service: str, role: str | None, action: str, resource: str, source_arn: str) -> None:
    if not role:
        raise _no_permission(f"the target {resource} needs a role that {service} assumes")
    try:
        assumable_role(role, service, source_arn)
    except PermissionError as error:
        raise _no_permission(str(error)) from error
    allowed = role_may(role, action, resource)
    recording.note(role, action, resource, allowed=allowed)
    if not allowed:
        raise _no_permission(f"{role} may not {action} on {resource}")


def require_topic(service: str, topic_arn: str, source_arn: str) -> None:
    """Require that a service may publish to a topic: its policy, and its key if it has one.

    Raises
    ------
    DeliveryError
        It may not, or there is no such topic.
    """
    topic = hooks.module("services.sns")._topic_by_arn_any_scope(topic_arn)
    if topic is None:
        raise DeliveryError("RESOURCE_NOT_FOUND", f"there is no topic {topic_arn}")
    if not service_may(service, "sns:Publish", topic_arn, source_arn):
        raise _no_permission(f"the policy of {topic_arn} doesn't let {service} publish")
    reference = topic["attributes"].get("KmsMasterKeyId")
    if not reference:
        return
    key = keys.find_key(reference)
    # No source conditions here: they are not sent to KMS.
    actions = ("kms:GenerateDataKey", "kms:Decrypt")
    if key is None or not all(service_may(service, action, key["Arn"], None) for action in actions):
        raise _no_permission(f"the key {reference} of {topic_arn} doesn't admit {service}")


def _to_lambda(arn: str, payload: str) -> None:
    functions = hooks.module("services.lambda_svc")
    function, config, name = functions._get_func_record_for_ref(arn)
    if not function or not config:
        raise DeliveryError("RESOURCE_NOT_FOUND", f"there is no function {name}")
    functions.invoke_async_with_retry(
        functions._execution_record_for_config(function, config), json.loads(payload)
    )


def _to_queue(arn: str, payload: str, attributes: Mapping[str, str] | None = None, group: str = "") -> None:
    queues, events = hooks.module("services.sqs"), hooks.module("services.eventbridge")
    queue = queues._queue_by_arn(arn)
    if queue is None:
        raise DeliveryError("RESOURCE_NOT_FOUND", f"there is no queue {arn}")
    events._dispatch_to_sqs(hooks.module("core.arn").parse_arn(arn), payload, {"MessageGroupId": group})
    queue["messages"][-1]["message_attributes"] = {
        name: {"DataType": "String", "StringValue": value} for name, value in (attributes or {}).items()
    }


def _payload(target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], view: Any) -> str:
    if transformer := target.get("InputTransformer"):
        return str(hooks.module("services.eventbridge")._apply_input_transformer(transformer, rule, view))
    if target.get("Input"):
        return str(target["Input"])
    whole = view.event_with_detail()
    if path := target.get("InputPath"):
        found: Any = whole
        for part in path.strip("$.").split("."):
            found = found.get(part) if isinstance(found, dict) else None
        return json.dumps(found)
    return json.dumps(whole)


class Deliverer:
    """Delivers what rules and schedules send, and keeps what could not be delivered.

    Parameters
    ----------
    sagemaker
        The SageMaker service's module: starts pipelines.
    """

    def __init__(self, sagemaker: ModuleType) -> None:
        self._sagemaker = sagemaker
        self._ministack_delivers: Callable[..., Any] = hooks.module("services.eventbridge")._invoke_target

    def by_rule(
        self, target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], view: Any = None
    ) -> None:
        """Deliver an event that a rule matched; the stand-in for ministack's ``_invoke_target``."""
        events = hooks.module("services.eventbridge")
        view = view or events._pattern_event_view(event)
        arn, rule_arn = target.get("Arn", ""), rule.get("Arn", "")
        try:
            self._to_rule_target(target, event, rule, view)
        except DeliveryError as error:
            logger.warning("rule %s: %s not delivered: %s", rule_arn, arn, error)
            dead_letters = (target.get("DeadLetterConfig") or {}).get("Arn")
            if not dead_letters:
                return
            if not service_may(EVENTS, "sqs:SendMessage", dead_letters, rule_arn):
                logger.warning("rule %s: the policy of %s doesn't admit %s", rule_arn, dead_letters, EVENTS)
                return
            attributes = {
                "RULE_ARN": rule_arn,
                "TARGET_ARN": arn,
                "ERROR_CODE": error.code,
                "ERROR_MESSAGE": str(error),
            }
            _to_queue(dead_letters, json.dumps(view.event_with_detail()), attributes)

    def _to_rule_target(
        self, target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], view: Any
    ) -> None:
        arn, rule_arn, role = target.get("Arn", ""), rule.get("Arn", ""), target.get("RoleArn")
        service = [*arn.split(":"), "", "", ""][2]
        payload = _payload(target, event, rule, view)
        if service == "lambda":
            if not service_may(EVENTS, "lambda:InvokeFunction", arn, rule_arn):
                raise _no_permission(f"the policy of {arn} doesn't let {EVENTS} invoke it for {rule_arn}")
            _to_lambda(arn, payload)
        elif service == "sns":
            require_topic(EVENTS, arn, rule_arn)
            hooks.module("services.sns").publish_internal(arn, payload, "")
        elif service == "sqs":
            if not service_may(EVENTS, "sqs:SendMessage", arn, rule_arn):
                raise _no_permission(f"the policy of {arn} doesn't let {EVENTS} send")
            _to_queue(arn, payload, group=(target.get("SqsParameters") or {}).get("MessageGroupId", ""))
        elif service == "sagemaker":
            _require_role(EVENTS, role, "sagemaker:StartPipelineExecution", arn, rule_arn)
            self._start_pipeline(arn, target)
        elif service == "events" and ":event-bus/" in arn and account_of(arn) != event.get("Account"):
            _require_role(EVENTS, role, "events:PutEvents", arn, rule_arn)
            self._to_foreign_bus(arn, event)
        else:
            self._ministack_delivers(target, event, rule, view)

    def _to_foreign_bus(self, arn: str, event: dict[str, Any]) -> None:
        events, evaluator = hooks.module("services.eventbridge"), hooks.module("core.iam_evaluator")
        bus, sender = arn.partition(":event-bus/")[2], str(event.get("Account", ""))
        with hooks.module("core.responses").request_scope(account_of(arn), arn.split(":")[3]):
            events._ensure_default_bus()
            if bus not in events._event_buses:
                raise DeliveryError("RESOURCE_NOT_FOUND", f"there is no event bus {arn}")
            policy = events._event_bus_policies.get(bus) or {}
            statements = [
                {**item, "Principal": {"AWS": item["Principal"]}}
                if item.get("Principal") not in ("*",) and isinstance(item.get("Principal"), str)
                else item
                for item in policy.get("Statement", [])
            ]
            ctx = evaluator.EvalContext(
                principal_arn=f"arn:aws:iam::{sender}:root",
                principal_type="Account",
                principal_account=sender,
                action="events:PutEvents",
                resource_arn=arn,
                region=arn.split(":")[3],
                secure_transport=True,
                service_context={
                    "events:source": event.get("Source", ""),
                    "events:detail-type": event.get("DetailType", ""),
                },
            )
            answer = evaluator.evaluate_resource_policy({"Statement": statements}, ctx).decision
            recording.note(
                ctx.principal_arn,
                ctx.action,
                arn,
                allowed=answer == "Allow",
                condition_keys=ctx.service_context,
            )
            if answer != "Allow":
                raise _no_permission(f"the policy of {arn} doesn't admit account {sender}")
            events._dispatch_event({**event, "EventBusName": bus, "_DispatchPath": []})

    def _start_pipeline(self, arn: str, target: dict[str, Any], token: str = "") -> None:
        parameters = (target.get("SageMakerPipelineParameters") or {}).get("PipelineParameterList") or []
        values = [{"Name": item["Name"], "Value": str(item["Value"])} for item in parameters]
        try:
            self._sagemaker.start_pipeline(
                account_of(arn), arn.split(":")[3], arn, values, token or str(uuid.uuid4())
            )
        except Exception as error:  # whatever it is, it belongs on the dead letter
            raise DeliveryError(getattr(error, "code", "SDK_CLIENT_ERROR"), str(error)) from error

    def by_schedule(self, schedule: dict[str, Any]) -> str | None:
        """Run a schedule's target once, now, as EventBridge Scheduler would.

        Parameters
        ----------
        schedule
            The schedule's record, in the request scope of its account and region.

        Returns
        -------
        str or None
            Why it could not be delivered; None when it was.
        """
        target, schedule_arn = schedule["Target"], schedule["Arn"]
        group = schedule_arn.split(":schedule/")[1].split("/")[0]
        # Scheduler names the schedule's group, not the schedule, in aws:SourceArn.
        source = f"{schedule_arn.split(':schedule/')[0]}:schedule-group/{group}"
        execution, now = str(uuid.uuid4()), datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        context = {
            "<aws.scheduler.schedule-arn>": schedule_arn,
            "<aws.scheduler.scheduled-time>": now,
            "<aws.scheduler.execution-id>": execution,
            "<aws.scheduler.attempt-number>": "1",
        }
        text = json.dumps(target)
        for name, value in context.items():
            text = text.replace(name, value)
        target = json.loads(text)
        role = target.get("RoleArn")
        try:
            self._to_schedule_target(target, role, source)
        except DeliveryError as error:
            logger.warning("schedule %s: %s not delivered: %s", schedule_arn, target["Arn"], error)
            dead_letters = (target.get("DeadLetterConfig") or {}).get("Arn")
            if dead_letters:
                try:
                    # Scheduler sends to the dead-letter queue under the schedule's own role.
                    _require_role(SCHEDULER, role, "sqs:SendMessage", dead_letters, source)
                    attributes = {
                        "ERROR_CODE": error.code,
                        "ERROR_MESSAGE": str(error),
                        "EXECUTION_ID": execution,
                        "SCHEDULED_TIME": now,
                        "SCHEDULE_ARN": schedule_arn,
                        "TARGET_ARN": target["Arn"],
                    }
                    _to_queue(dead_letters, target.get("Input") or "{}", attributes)
                except DeliveryError as second:
                    return f"{error}; nor could it be put on the dead-letter queue: {second}"
            return str(error)
        return None

    def _to_schedule_target(self, target: dict[str, Any], role: str | None, source: str) -> None:
        arn, payload = target["Arn"], target.get("Input") or "{}"
        service = [*arn.split(":"), "", "", ""][2]
        if service == "sagemaker":
            _require_role(SCHEDULER, role, "sagemaker:StartPipelineExecution", arn, source)
            self._start_pipeline(arn, target)
        elif service == "lambda":
            _require_role(SCHEDULER, role, "lambda:InvokeFunction", arn, source)
            _to_lambda(arn, payload)
        elif service == "sns":
            _require_role(SCHEDULER, role, "sns:Publish", arn, source)
            hooks.module("services.sns").publish_internal(arn, payload, "")
        elif service == "sqs":
            _require_role(SCHEDULER, role, "sqs:SendMessage", arn, source)
            _to_queue(arn, payload, group=(target.get("SqsParameters") or {}).get("MessageGroupId", ""))
        else:
            raise DeliveryError("UNSUPPORTED_TARGET", f"the embedded cloud has no schedule target like {arn}")


def _dead_letters_by_the_role(original: Callable[..., Any]) -> Callable[..., Any]:
    def route(target: str, name: str, event: Any, result: Any) -> None:
        # Lambda sends to a function's dead-letter queue under the function's own role.
        _, config, _ = hooks.module("services.lambda_svc")._get_func_record_for_ref(name)
        role = str((config or {}).get("Role", ""))
        action = "sqs:SendMessage" if ":sqs:" in target else "sns:Publish"
        allowed = role_may(role, action, target)
        recording.note(role, action, target, allowed=allowed)
        if allowed:
            original(target, name, event, result)
        else:
            logger.warning("function %s: %s may not %s on %s", name, role, action, target)

    return route


def install(sagemaker: ModuleType) -> Deliverer:
    """Deliver events ourselves, and let recurring schedules run only when someone moves the clock.

    Parameters
    ----------
    sagemaker
        The SageMaker service's module.
    """
    deliverer = Deliverer(sagemaker)
    hooks.wrap("services.lambda_svc", "_route_async_failure", _dead_letters_by_the_role)
    hooks.module("services.eventbridge")._invoke_target = deliverer.by_rule
    # A schedule that fires by the wall clock in the middle of a test or a demo would be chance; one-time ones are
    # fired by `one_time`.
    hooks.module("services.eventbridge").start_scheduler = lambda: None
    hooks.module("services.scheduler").start_scheduler = lambda: None
    return deliverer
