"""What the request being served says; ministack's permission hooks don't pass it on."""

from __future__ import annotations

import contextvars
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from local_cloud.adapter import hooks


@dataclass(frozen=True)
class Request:
    """One HTTP request, as ministack parsed it."""

    method: str = ""
    path: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    query: dict[str, list[str]] = field(default_factory=dict)

    def json(self) -> dict[str, Any]:
        """The body as a JSON object; empty when it is none."""
        try:
            parsed = json.loads(self.body or b"{}")
        except ValueError:
            return {}
        return parsed if isinstance(parsed, dict) else {}

    def form(self) -> dict[str, str]:
        """The parameters of a query-protocol request, or of a JSON one, as strings."""
        if "json" in self.headers.get("content-type", ""):
            return {key: str(value) for key, value in self.json().items()}
        pairs = parse_qs(self.body.decode("utf-8", "replace"))
        return {key: values[0] for key, values in {**self.query, **pairs}.items() if values}

    def parameter(self, name: str) -> str:
        """A query-string parameter, or an empty string."""
        return (self.query.get(name) or [""])[0]


NO_REQUEST = Request()
_current: contextvars.ContextVar[Request] = contextvars.ContextVar("local_cloud_request", default=NO_REQUEST)
_secure: contextvars.ContextVar[bool] = contextvars.ContextVar("local_cloud_secure", default=False)


def current_request() -> Request:
    """The request being served in this context."""
    return _current.get()


def mark_transport(*, secure: bool) -> None:
    """Note whether the request being served came in on the port that counts as TLS."""
    _secure.set(secure)


def install() -> None:
    """Remember each request before ministack authorizes it, and which port it came in on."""

    def remembering(original: Callable[..., Any]) -> Callable[..., Any]:
        async def handle(
            method: str,
            path: str,
            headers: dict[str, str],
            body: bytes,
            query: dict[str, list[str]],
            *rest: Any,
            **named: Any,
        ) -> Any:
            _current.set(Request(method, path, headers, body, query))
            return await original(method, path, headers, body, query, *rest, **named)

        return handle

    def with_transport(original: Callable[..., Any]) -> Callable[..., Any]:
        # The client's own x-forwarded-proto must not decide what counts as TLS.
        return lambda address, _claimed: original(address, _secure.get())

    hooks.wrap("app", "_handle_special_data_plane_request", remembering)
    hooks.wrap("app", "pin_request_origin", with_transport)
