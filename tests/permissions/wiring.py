"""What the templates wire, as against what they permit: rules, dead letters, log groups, assets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from tests.permissions.estate import Estate, Stack


class Triggers:
    """Which rules lead to a function, and where its undeliverable events go: what is wired, not what is permitted."""

    def __init__(self, estate: Estate) -> None:
        self._rules: dict[str, list[str]] = defaultdict(list)
        self._queues: dict[str, str] = {}
        self._schedules: dict[tuple[str, str], str] = {}
        for stack in estate.stacks:
            for logical_id, rule in stack.of_type("AWS::Events::Rule"):
                for target in rule.get("Targets", []):
                    self._rules[target["Arn"]].append(
                        stack.arn("events", f"rule/{stack.name_of(logical_id)}")
                    )
            for _, function in stack.of_type("AWS::Lambda::Function"):
                queue = function.get("DeadLetterConfig", {}).get("TargetArn")
                if queue:
                    arn = stack.arn("lambda", f"function:{function['FunctionName']}")
                    self._queues[arn] = queue
            for _, schedule in stack.of_type("AWS::Scheduler::Schedule"):
                queue = schedule["Target"].get("DeadLetterConfig", {}).get("Arn")
                if queue:
                    self._schedules[schedule["Name"], stack.account] = queue

    def of(self, function: str) -> tuple[tuple[str, ...], str | None]:
        return tuple(self._rules[function]), self._queues.get(function)

    def queue_of_schedule(self, name: str, account: str) -> str | None:
        return self._schedules.get((name, account))


def log_groups(estate: Estate) -> dict[str, tuple[str, ...]]:
    """Return the log groups that a key encrypts, by the key's ARN."""
    found: dict[str, tuple[str, ...]] = {}
    for stack in estate.stacks:
        for logical_id, group in stack.of_type("AWS::Logs::LogGroup"):
            if key := group.get("KmsKeyId"):
                arn = stack.arn("logs", f"log-group:{stack.name_of(logical_id)}")
                found[key] = (*found.get(key, ()), arn)
    return found


def code_assets(stacks: dict[str, Stack], account: str) -> Iterator[tuple[str, str]]:
    found = {
        (str(pipeline["PipelineName"]), str(pipeline["CodeKey"]))
        for stack in stacks.values()
        if stack.account == account
        for _, pipeline in stack.of_type("Custom::SageMakerPipeline")
        if "CodeKey" in pipeline
    }
    return iter(found)
