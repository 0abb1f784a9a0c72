"""The conversation with CloudFormation: requests come in, exactly one answer goes out, whatever happens.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requests.html
"""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from shared import log
from shared.text import one_line, shorten

# CloudFormation takes at most 4,096 bytes.
RESPONSE_LIMIT = 4096
REASON_LIMIT = 2000
_UNKNOWN_ID = "not-created"


class BadRequest(Exception):
    """The request lacks what an answer needs."""


class AnswerFailed(Exception):
    """CloudFormation could not be told; raised so that Lambda runs the request again."""


@dataclass(frozen=True)
class Request:
    """One request of CloudFormation.

    Parameters
    ----------
    kind
        `Create`, `Update` or `Delete`.
    physical_id
        None on Create.
    """

    kind: str
    response_url: str
    stack_id: str
    request_id: str
    logical_id: str
    physical_id: str | None
    properties: dict[str, Any] = field(default_factory=dict)
    old_properties: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, event: dict[str, Any]) -> Request:
        """Read a request.

        Raises
        ------
        BadRequest
            A part is missing without which it can't be answered.
        """
        needed = ("RequestType", "ResponseURL", "StackId", "RequestId", "LogicalResourceId")
        missing = [name for name in needed if not isinstance(event.get(name), str) or not event[name]]
        if missing:
            raise BadRequest(f"a request of CloudFormation has {', '.join(missing)}; this one doesn't")
        physical_id = event.get("PhysicalResourceId")
        if not isinstance(physical_id, str | None):
            raise BadRequest(f"PhysicalResourceId must be a text, got {physical_id!r}")
        return cls(
            kind=event["RequestType"],
            response_url=event["ResponseURL"],
            stack_id=event["StackId"],
            request_id=event["RequestId"],
            logical_id=event["LogicalResourceId"],
            physical_id=physical_id or None,
            properties=_object(event.get("ResourceProperties")),
            old_properties=_object(event.get("OldResourceProperties")),
        )


def _object(value: object) -> dict[str, Any]:
    # anything else is answered as properties that are missing
    return value if isinstance(value, dict) else {}


@dataclass(frozen=True)
class Answer:
    """What CloudFormation is told.

    Parameters
    ----------
    reason
        Why it failed; None is success.
    """

    physical_id: str
    reason: str | None = None
    data: dict[str, str] = field(default_factory=dict)

    def body(self, request: Request) -> bytes:
        """Write the answer's JSON in at most 4,096 bytes: where it is longer, the reason is cut."""
        limit = REASON_LIMIT
        while True:
            reason = shorten(one_line(self.reason), limit) if self.reason is not None else ""
            document = {
                "Status": "SUCCESS" if self.reason is None else "FAILED",
                "Reason": reason,
                "PhysicalResourceId": self.physical_id,
                "StackId": request.stack_id,
                "RequestId": request.request_id,
                "LogicalResourceId": request.logical_id,
                "Data": self.data,
            }
            # half a character, which UTF-8 can't hold, becomes its escape, which is JSON
            body = json.dumps(document, ensure_ascii=False).encode(errors="backslashreplace")
            if len(body) <= RESPONSE_LIMIT or limit <= 100:
                return body
            limit -= 100


def unmade_id(request: Request) -> str:
    """Physical id of what a Create did not make; no pipeline's name can look like it."""
    return f"{_UNKNOWN_ID}:{request.logical_id}:{request.request_id[:8]}"


def is_unmade(physical_id: str) -> bool:
    """Whether the id tells of something that a Create did not make."""
    return physical_id.startswith(f"{_UNKNOWN_ID}:")


def put_answer(url: str, body: bytes) -> None:
    """Send the answer to the pre-signed URL.

    Raises
    ------
    OSError
        It was not taken.
    """
    if not url.startswith(("https://", "http://")):
        raise OSError(f"the ResponseURL is no web address: {url[:20]}")
    # the signature covers an empty content type
    headers = {"Content-Type": "", "Content-Length": str(len(body))}
    call = urllib.request.Request(url, data=body, method="PUT", headers=headers)  # noqa: S310 - checked above
    with urllib.request.urlopen(call, timeout=10) as response:  # noqa: S310 - checked above
        response.read()


class Responder:
    """Answers a request once: the first answer goes out, later ones are dropped."""

    def __init__(
        self,
        request: Request,
        put: Callable[[str, bytes], None] = put_answer,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._request = request
        self._put = put
        self._sleep = sleep
        self._lock = threading.Lock()
        self._answered = False

    @property
    def answered(self) -> bool:
        """Whether an answer went out."""
        return self._answered

    def answer(self, answer: Answer) -> bool:
        """Send the answer; False where another one went out before.

        Raises
        ------
        AnswerFailed
            CloudFormation's address refused it five times.
        """
        with self._lock:
            if self._answered:
                log.warning(
                    "a second answer is dropped", reason=answer.reason, physical_id=answer.physical_id
                )
                return False
            self._send(answer.body(self._request))
            self._answered = True
        log.info(
            "answered",
            physical_id=answer.physical_id,
            reason=answer.reason,
            request_id=self._request.request_id,
        )
        return True

    def _send(self, body: bytes) -> None:
        for attempt in range(1, 6):
            try:
                self._put(self._request.response_url, body)
            except OSError as error:
                log.warning("CloudFormation did not take the answer", attempt=attempt, error=str(error))
                if attempt == 5:
                    raise AnswerFailed(f"CloudFormation did not take the answer: {error}") from error
                self._sleep(min(2.0**attempt, 8.0))
            else:
                return


class Watchdog:
    """Answers with a failure shortly before Lambda ends the function, so that the stack doesn't hang for an hour."""

    def __init__(self, seconds: float, bark: Callable[[], None]) -> None:
        self._timer = threading.Timer(max(0.0, seconds), bark)
        self._timer.daemon = True

    def __enter__(self) -> Watchdog:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
