"""CloudFormation's behaviour around custom resources and imports, where ministack departs from AWS."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable
from typing import Any

from local_cloud.adapter import hooks

_imported: contextvars.ContextVar[frozenset[str]] = contextvars.ContextVar(
    "local_cloud_imported", default=frozenset()
)


def _deleting_what_failed_to_be_created() -> None:
    """Send a Delete after a failed Create, as AWS's rollback does; a handler must bear that."""
    refused: dict[tuple[str, str], str] = {}

    def remember(original: Callable[..., bool]) -> Callable[..., bool]:
        def deliver(token: str, response: dict[str, Any]) -> bool:
            if response.get("Status") == "FAILED" and response.get("PhysicalResourceId"):
                key = (str(response.get("StackId")), str(response.get("LogicalResourceId")))
                refused[key] = str(response["PhysicalResourceId"])
            return original(token, response)

        return deliver

    def send_delete(original: Callable[..., Any]) -> Callable[..., Any]:
        def invoke(
            request_type: str,
            logical_id: str,
            props: dict[str, Any],
            stack_name: str,
            stack_id: str,
            resource_type: str,
            physical_id: str | None = None,
            old_props: dict[str, Any] | None = None,
        ) -> Any:
            same = (logical_id, props, stack_name, stack_id, resource_type)
            try:
                return original(request_type, *same, physical_id, old_props)
            except (RuntimeError, TimeoutError):
                if request_type == "Create":
                    answered = refused.pop((stack_id, logical_id), f"{stack_name}-{logical_id}")
                    with contextlib.suppress(RuntimeError, TimeoutError):
                        original("Delete", *same, answered)
                raise

        return invoke

    hooks.wrap("services.cloudformation.custom_resource", "deliver_response", remember)
    hooks.wrap("services.cloudformation.custom_resource", "invoke_custom_resource", send_delete)


def _importing_buckets() -> None:
    """Let a change set import a bucket; ministack's check before the deployment calls its name taken."""

    def note(original: Callable[..., Any]) -> Callable[..., Any]:
        async def deploy(*args: Any, imports: dict[str, dict[str, str]] | None = None, **kwargs: Any) -> Any:
            names = (value for identifier in (imports or {}).values() for value in identifier.values())
            _imported.set(frozenset(names))
            return await original(*args, imports=imports, **kwargs)

        return deploy

    def unless_imported(original: Callable[[str], str | None]) -> Callable[[str], str | None]:
        return lambda name: None if name in _imported.get() else original(name)

    hooks.wrap("services.cloudformation.stacks", "_deploy_stack_async", note)
    deploy = hooks.module("services.cloudformation.stacks")._deploy_stack_async
    hooks.module("services.cloudformation.changesets")._deploy_stack_async = deploy
    hooks.wrap("services.cloudformation.provisioners", "s3_bucket_name_conflict", unless_imported)


def install() -> None:
    """Make both behave as on AWS."""
    _deleting_what_failed_to_be_created()
    _importing_buckets()
