"""boto3 clients for the engine's endpoint under the session of a role."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import boto3
import botocore.loaders
import botocore.session
from botocore.config import Config

# A function behind a Lambda step may take ten minutes.
_CONFIG = Config(
    read_timeout=615, connect_timeout=10, retries={"total_max_attempts": 1}, max_pool_connections=4
)

_loader = botocore.loaders.create_loader()  # keeps the parsed service models: they take longest to load
_lock = threading.Lock()


class RoleClients:
    """Clients that call as one role.

    Parameters
    ----------
    session
        Environment variables of the role's session, as the engine gives them.
    """

    def __init__(self, session: Mapping[str, str]) -> None:
        self._session = session
        self._clients: dict[str, Any] = {}
        core = botocore.session.Session()
        core.register_component("data_loader", _loader)
        self._boto3 = boto3.session.Session(
            aws_access_key_id=session["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=session["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=session["AWS_SESSION_TOKEN"],
            region_name=session["AWS_REGION"],
            botocore_session=core,
        )

    def client(self, service: str) -> Any:
        """Return the client of a service; made once."""
        with _lock:  # making clients isn't thread-safe
            if service not in self._clients:
                self._clients[service] = self._boto3.client(
                    service, endpoint_url=self._session["AWS_ENDPOINT_URL"], config=_CONFIG
                )
            return self._clients[service]
