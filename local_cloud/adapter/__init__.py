"""The only code that touches ministack's private parts."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import json
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from local_cloud.adapter import (
    authorization,
    custom_resources,
    delivery,
    hooks,
    identity,
    keys,
    notifications,
    one_time,
    pipelines,
    request,
    templates,
)
from local_cloud.adapter.hooks import KNOWN_VERSION, MissingHookError
from local_cloud.engine_services import EngineServices

__all__ = ["KNOWN_VERSION", "Engine", "MissingHookError"]

_SAGEMAKER, _CODEPIPELINE = "sagemaker", "codepipeline"
_TARGETS = {_SAGEMAKER: "SageMaker.", _CODEPIPELINE: "CodePipeline_20150709."}


def _register(name: str, service: ModuleType) -> None:
    """Make ministack route, authorize and reset a service of ours like its own."""
    app, actions = hooks.module("app"), hooks.module("core.iam_actions")
    sys.modules[f"ministack.services.{name}"] = service
    setattr(hooks.module("services"), name, service)
    app.SERVICE_REGISTRY[name] = {"module": name}
    app.SERVICE_HANDLERS[name] = app._lazy_handler(name)
    app._state_map[name] = name
    patterns = {
        "target_prefixes": [_TARGETS[name]],
        "host_patterns": [rf"{name}\."],
        "credential_scope": name,
    }
    hooks.module("core.router").SERVICE_PATTERNS[name] = patterns
    actions.SERVICE_TO_IAM_NAMESPACE[name] = name
    if hasattr(service, "resource_policy_for"):
        hooks.module("core.iam_evaluator")._RESOURCE_POLICY_LOOKUPS[name] = (name, "resource_policy_for")


class Engine:
    """ministack with what it lacks; one a process, because ministack keeps its state in modules.

    Parameters
    ----------
    service
        The SageMaker service's module; see docs of `local_cloud.sagemaker.service`.
    delivery_service
        CodePipeline's; see `local_cloud.codepipeline.service`.
    secure_endpoint
        URL of the port that counts as TLS.
    secure_port
        Its number.
    work_dir
        Where jobs may write.

    Raises
    ------
    MissingHookError
        ministack isn't the version that the adapter knows.
    """

    def __init__(
        self,
        *,
        service: ModuleType,
        delivery_service: ModuleType,
        secure_endpoint: str,
        secure_port: int,
        work_dir: Path,
    ) -> None:
        hooks.check_hook_points()
        self._secure_port = secure_port
        self._secure_endpoint = secure_endpoint
        self._service, self.delivery_service = service, delivery_service
        _register(_SAGEMAKER, service)
        _register(_CODEPIPELINE, delivery_service)
        request.install()
        identity.install()
        keys.install()
        authorization.install({_SAGEMAKER: service, _CODEPIPELINE: delivery_service})
        templates.install(service)
        custom_resources.install()
        self._deliverer = delivery.install(service)
        self._one_time = one_time.OneTimeSchedules(self._deliverer.by_schedule)
        self._outbox = notifications.install()
        services = EngineServices(
            secure_endpoint=secure_endpoint,
            issue_session=self.issue_session,
            put_event=self.put_event,
            work_dir=work_dir,
            caller=pipelines.caller_arn,
        )
        service.configure(services)
        own = replace(services, work_dir=work_dir / _CODEPIPELINE)
        delivery_service.configure(pipelines.install(delivery_service, own))

    def messages(self, topic_arn: str) -> list[dict[str, str]]:
        """What was published to a topic, oldest first."""
        return self._outbox.of(topic_arn)

    def issue_session(
        self, role_arn: str, service: str, session_name: str, source_arn: str | None = None
    ) -> dict[str, str]:
        """See `engine_services.IssueSession`."""
        key, secret, token = identity.issue_session(role_arn, service, session_name, source_arn)
        region = (source_arn or "").split(":")[3:4] or [hooks.module("core.responses").get_region()]
        return {
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_SESSION_TOKEN": token,
            "AWS_REGION": region[0],
            "AWS_DEFAULT_REGION": region[0],
            "AWS_ENDPOINT_URL": self._secure_endpoint,
        }

    def put_event(
        self,
        account: str,
        region: str,
        source: str,
        detail_type: str,
        detail: dict[str, Any],
        resources: list[str],
    ) -> None:
        """See `engine_services.PutEvent`."""
        entry = {
            "Source": source,
            "DetailType": detail_type,
            "Detail": json.dumps(detail),
            "Resources": resources,
        }

        def put() -> None:
            with hooks.module("core.responses").request_scope(account, region):
                events = hooks.module("services.eventbridge")
                events._ensure_default_bus()
                events._put_events({"Entries": [entry]}, allow_aws_source=True)

        loop = hooks.module("app")._MAIN_LOOP
        if loop is None:
            put()
            return
        # ministack's stores are touched by the loop's thread only; order is kept.
        loop.call_soon_threadsafe(functools.partial(contextvars.Context().run, put))

    def fire(self, account: str, region: str, name: str, group: str = "default") -> str | None:
        """Run a schedule's target now.

        Parameters
        ----------
        account, region
            Where the schedule is.
        name, group
            The schedule's name and group.

        Returns
        -------
        str or None
            Why it was not delivered; None when it was.

        Raises
        ------
        LookupError
            There is no such schedule, or it is disabled; says which schedules there are.
        """
        with hooks.module("core.responses").request_scope(account, region):
            schedules = hooks.module("services.scheduler")._schedules
            schedule = schedules.get(f"{group}/{name}")
            if schedule is None:
                known = ", ".join(sorted(schedules.keys())) or "none"
                raise LookupError(
                    f"no schedule {group}/{name} in account {account}, {region}; there are: {known}"
                )
            if schedule.get("State") == "DISABLED":
                raise LookupError(f"schedule {group}/{name} is disabled: it doesn't fire")
            return self._deliverer.by_schedule(schedule)

    async def keep_time(self) -> None:
        """Fire one-time schedules when their time has come, until cancelled."""
        await self._one_time.keep_sweeping()

    async def app(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Serve one ASGI connection."""
        port = (scope.get("server") or ("", 0))[1]
        request.mark_transport(secure=port == self._secure_port)
        await hooks.module("app").app(scope, receive, send)

    async def shutdown(self) -> None:
        """End running steps and builds."""
        await asyncio.gather(
            asyncio.to_thread(self._service.shutdown), asyncio.to_thread(self.delivery_service.shutdown)
        )
