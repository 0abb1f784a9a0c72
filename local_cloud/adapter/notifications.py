"""SNS: an outbox of what was published, and the permissions of alarms and of functions behind topics."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

from local_cloud.adapter import hooks
from local_cloud.adapter.delivery import DeliveryError, require_topic, service_may

ALARMS, TOPICS = "cloudwatch.amazonaws.com", "sns.amazonaws.com"
_ACTIONS = ("AlarmActions", "OKActions", "InsufficientDataActions")
logger = logging.getLogger("local_cloud.notifications")


class Outbox:
    """Keeps every message that reached a topic."""

    def __init__(self) -> None:
        self._messages: list[dict[str, str]] = []

    def of(self, topic_arn: str) -> list[dict[str, str]]:
        """Messages of a topic, oldest first."""
        return [message for message in self._messages if message["topic_arn"] == topic_arn]

    def keeping(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap ministack's delivery to the subscribers."""

        def fan_out(
            topic_arn: str, message_id: str, message: Any, subject: str, *rest: Any, **named: Any
        ) -> Any:
            text = message if isinstance(message, str) else json.dumps(message)
            self._messages.append({"topic_arn": topic_arn, "subject": subject or "", "body": text})
            return original(topic_arn, message_id, message, subject, *rest, **named)

        return fan_out


def _alarms_that_may(original: Callable[..., Any]) -> Callable[..., Any]:
    def may_publish(topic_arn: str, alarm_arn: str) -> bool:
        try:
            require_topic(ALARMS, topic_arn, alarm_arn)
        except DeliveryError as error:
            logger.warning("alarm %s: %s", alarm_arn, error)
            return False
        return True

    def dispatch(alarm: dict[str, Any], *transition: Any) -> Any:
        arn = str(alarm.get("AlarmArn", ""))
        admitted = {
            name: [
                action
                for action in alarm.get(name) or []
                if ":sns:" not in action or may_publish(action, arn)
            ]
            for name in _ACTIONS
        }
        return original({**alarm, **admitted}, *transition)

    return dispatch


def _on_its_own_metric(original: Callable[..., Any]) -> Callable[..., Any]:
    """Let an alarm see the metric of its dimensions only: ministack takes all of the name."""

    def evaluate(alarm: dict[str, Any]) -> Any:
        cloudwatch = hooks.module("services.cloudwatch")
        dimensions = cloudwatch._dims_key(
            {one["Name"]: one["Value"] for one in alarm.get("Dimensions") or []}
        )
        everything = cloudwatch._metrics
        cloudwatch._metrics = {key: points for key, points in everything.items() if key[2] == dimensions}
        try:
            return original(alarm)
        finally:
            cloudwatch._metrics = everything

    return evaluate


def _functions_that_let_topics(original: Callable[..., Any]) -> Callable[..., Any]:
    def deliver(endpoint: str, envelope: str, topic_arn: str, *rest: Any) -> Any:
        if not service_may(TOPICS, "lambda:InvokeFunction", endpoint, topic_arn):
            logger.warning("topic %s: the policy of %s doesn't let %s invoke it", topic_arn, endpoint, TOPICS)
            return None
        return original(endpoint, envelope, topic_arn, *rest)

    return deliver


def install() -> Outbox:
    """Keep messages, and deliver them only with the permissions that AWS wants."""
    outbox = Outbox()
    hooks.wrap("services.sns", "_fanout", outbox.keeping)
    hooks.wrap("services.sns", "_deliver_to_lambda", _functions_that_let_topics)
    hooks.wrap("services.cloudwatch", "_dispatch_alarm_actions", _alarms_that_may)
    hooks.wrap("services.cloudwatch", "_evaluate_alarm", _on_its_own_metric)
    return outbox
