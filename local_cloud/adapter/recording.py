"""What was decided about whom: one line of JSON for each kind of decision, where a recording is asked for."""

from __future__ import annotations

import functools
import json
import os
import threading
from collections.abc import Iterable
from pathlib import Path

from local_cloud.adapter import keys
from local_cloud.adapter.identity import principal_arn
from local_cloud.process import RECORD_VARIABLE, STOLEN_SESSION


class Recorder:
    """Appends decisions to a file that several clouds may share.

    The same principal, action, resource and answer are written once, with the condition keys seen first: who may do
    what is asked here, not how often.

    Parameters
    ----------
    path
        The file; made with its folder where there is none.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Appended to without a buffer: a line is one write, so that lines of two clouds never mix.
        self._file = path.open("ab", buffering=0)
        self._seen: set[tuple[str, str, str, bool, bool]] = set()
        self._lock = threading.Lock()

    def note(
        self,
        principal: str,
        action: str,
        resource: str,
        *,
        allowed: bool,
        stolen: bool = False,
        condition_keys: Iterable[str] = (),
    ) -> None:
        """Write a decision.

        Parameters
        ----------
        principal
            ARN of a role with its path, of a user or of an account's root; or the name of a service.
        action, resource
            What on which; a key by the ARN of its first alias, whose name says more than an id.
        allowed
            The answer.
        stolen
            Whether it was asked with a session that somebody took out of a service's hands to try it.
        condition_keys
            Names of the condition keys that the request had.
        """
        decision = (principal, action, resource, allowed, stolen)
        with self._lock:
            if decision in self._seen:
                return
            self._seen.add(decision)
        line = {
            "principal": principal,
            "action": action,
            "resource": resource,
            "allowed": allowed,
            "stolen": stolen,
            "condition_keys": sorted({key.lower() for key in condition_keys}),
        }
        self._file.write(json.dumps(line).encode() + b"\n")


@functools.cache
def _recorder(path: str) -> Recorder:
    return Recorder(Path(path))


def is_on() -> bool:
    """Whether decisions are recorded."""
    return bool(os.environ.get(RECORD_VARIABLE))


def note(
    principal: str, action: str, resource: str, *, allowed: bool, condition_keys: Iterable[str] = ()
) -> None:
    """Record a decision; nothing where no recording was asked for.

    Parameters
    ----------
    principal
        ARN of who asked, a role's session too; or the name of a service.
    action, resource
        What on which.
    allowed
        The answer.
    condition_keys
        Names of the condition keys that the request had.
    """
    path = os.environ.get(RECORD_VARIABLE)
    if not path:
        return
    if resource.startswith("arn:") and ":key/" in resource:
        resource = _by_alias(resource)
    _recorder(path).note(
        principal_arn(principal),
        action,
        resource,
        allowed=allowed,
        stolen=principal.endswith(f"/{STOLEN_SESSION}"),
        condition_keys=condition_keys,
    )


def _by_alias(resource: str) -> str:
    key = keys.find_key(resource)
    names = keys.aliases_of(key) if key else []
    return f"{resource.split(':key/')[0]}:{names[0]}" if names else resource
