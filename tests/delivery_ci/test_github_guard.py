"""A promotion by GitHub is refused where its environments ask nobody."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

import pytest

from ops.errors import CommandError
from ops.github import check_reviewers

REVIEWED = {"protection_rules": [{"type": "required_reviewers", "reviewers": [{"type": "User"}]}]}
BRANCHES = {"protection_rules": [{"type": "branch_policy"}]}


class GitHub(BaseHTTPRequestHandler):
    """As much of GitHub's API as is asked: the environments of one repository."""

    environments: ClassVar[dict[str, Any]] = {}
    status: ClassVar[int] = 200

    def do_GET(self) -> None:
        name = self.path.removeprefix("/repos/example/mlops/environments/")
        known = name in self.environments and self.headers["Authorization"] == "Bearer token"
        self.send_response(self.status if self.status != 200 or known else 404)
        self.end_headers()
        if known:
            self.wfile.write(json.dumps(self.environments[name]).encode())

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the base class
        """Print nothing."""


@pytest.fixture
def env() -> Iterator[dict[str, str]]:
    server = HTTPServer(("127.0.0.1", 0), GitHub)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    GitHub.environments, GitHub.status = {"prod": REVIEWED, "permissions": REVIEWED}, 200
    yield {
        "GITHUB_API_URL": f"http://127.0.0.1:{server.server_port}",
        "GITHUB_REPOSITORY": "example/mlops",
        "GITHUB_TOKEN": "token",
    }
    server.shutdown()
    thread.join()
    server.server_close()


def refused(env: dict[str, str]) -> str:
    with pytest.raises(CommandError) as error:
        check_reviewers(env)
    return str(error.value)


def test_environments_with_reviewers_pass(env: dict[str, str]) -> None:
    check_reviewers(env)


@pytest.mark.parametrize(
    "prod", [None, {}, BRANCHES, {"protection_rules": [{"type": "required_reviewers", "reviewers": []}]}]
)
def test_an_environment_that_asks_nobody_is_named(env: dict[str, str], prod: Any) -> None:
    GitHub.environments = {"permissions": REVIEWED} | ({} if prod is None else {"prod": prod})
    assert "nobody must review the GitHub environment prod: the promotion would ask nobody" in refused(env)


def test_both_are_named_where_neither_asks(env: dict[str, str]) -> None:
    GitHub.environments = {}
    assert "the GitHub environment permissions and prod" in refused(env)


def test_an_answer_that_says_nothing_is_no_permission(env: dict[str, str]) -> None:
    GitHub.status = 403
    assert "GitHub answered 403 for the environment permissions" in refused(env)


def test_outside_of_github_it_says_what_is_missing() -> None:
    assert "GITHUB_API_URL, GITHUB_REPOSITORY, GITHUB_TOKEN is not set" in refused({})


def test_an_api_that_cannot_be_reached_is_named(env: dict[str, str]) -> None:
    assert "GitHub's API at http://127.0.0.1:1 can't be reached" in refused(
        {**env, "GITHUB_API_URL": "http://127.0.0.1:1"}
    )
