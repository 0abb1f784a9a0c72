"""Network isolation of a job's program: no credentials, and no network where this machine can take it away."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

_SECRETS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL")
# A network namespace of its own holds a loopback device that is down, and nothing else.
_NAMESPACE = ("--user", "--map-current-user", "--net")


def is_isolated(request: Mapping[str, Any], model: Mapping[str, Any]) -> bool:
    """Return whether a job's program is cut off: its request says so, or that of its model."""
    network = request.get("NetworkConfig") or request
    return bool(network.get("EnableNetworkIsolation") or model.get("isolated"))


def without_credentials(session: Mapping[str, str]) -> dict[str, str]:
    """Return what an isolated container knows of the role's session, which is the region."""
    return {
        name: value
        for name, value in session.items()
        if name not in _SECRETS and not name.startswith("AWS_ENDPOINT_URL_")
    }


def without_network(command: Sequence[str]) -> list[str]:
    """Return the command that runs a program with no network, or as it is where that can't be done."""
    return [*launcher(), *command]


@cache
def launcher() -> tuple[str, ...]:
    """Return what takes the network from a program: Linux's namespaces, if an ordinary user may make them."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return ()
    found = (unshare, *_NAMESPACE, "--")
    try:
        tried = subprocess.run([*found, "true"], capture_output=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return found if tried.returncode == 0 else ()
