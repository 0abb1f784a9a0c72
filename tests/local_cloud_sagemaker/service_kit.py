"""The SageMaker service without an engine: a stand-in for what the engine gives, and calls in an account's name."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from ministack.core.responses import request_scope

from local_cloud.engine_services import EngineServices
from local_cloud.sagemaker import service

DEV, REGISTRY, REGION = "111111111111", "333333333333", "us-east-1"
ROLE = f"arn:aws:iam::{DEV}:role/mlops/dev/train/role"


class Engine:
    """Keeps the events it is given; issues sessions for any role but those named ``refused``."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, dict[str, Any]]] = []

    def issue_session(
        self, role_arn: str, service: str, session_name: str, source_arn: str | None = None
    ) -> dict[str, str]:
        if role_arn.endswith("refused"):
            raise PermissionError(f"{service} can't assume {role_arn}")
        return {
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_SESSION_TOKEN": "x",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": "http://127.0.0.1:9",  # nothing listens there
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
        self.events.append((account, detail_type, detail))


class RefusedError(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


def configure(folder: Path) -> Engine:
    """Set up a fresh service."""
    engine = Engine()
    service.configure(
        EngineServices(
            secure_endpoint="http://127.0.0.1:9",
            issue_session=engine.issue_session,
            put_event=engine.put_event,
            work_dir=folder,
        )
    )
    return engine


def call(operation: str, account: str = DEV, **request: Any) -> dict[str, Any]:
    """Call an operation over the service's door."""
    headers = {"X-Amz-Target": f"SageMaker.{operation}"}
    with request_scope(account, REGION):
        status, _, body = asyncio.run(
            service.handle_request("POST", "/", headers, json.dumps(request).encode(), {})
        )
    answer: dict[str, Any] = json.loads(body)
    if status >= 400:
        raise RefusedError(answer["__type"], answer["message"])
    return answer
