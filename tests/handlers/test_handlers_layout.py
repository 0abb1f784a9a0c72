"""What Lambda needs of the folder: its handlers are found, and nothing is imported that Lambda doesn't have."""

from __future__ import annotations

import ast
import importlib
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from shared.cloudformation import put_answer
from tests.handlers.conftest import HANDLERS

NAMES = sorted(path.parent.name for path in HANDLERS.glob("*/handler.py"))
SOURCES = sorted(HANDLERS.glob("*/*.py"))


def test_every_function_of_the_library_is_there() -> None:
    functions = (
        "approval_notifier approval_recorder approval_starter delivery_notifier model_cleanup model_resolver"
    )
    assert [*functions.split(), "pipeline_notifier", "retrain", "run_recorder", "sagemaker_pipeline"] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_handler_is_found_as_lambda_looks_for_it(name: str) -> None:
    assert callable(importlib.import_module(f"{name}.handler").handle)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_module_imports_only_what_lambda_has_and_its_own_folder_or_shared(source: Path) -> None:
    allowed = {*sys.stdlib_module_names, "boto3", "botocore", "shared", source.parent.name}
    for node in ast.walk(ast.parse(source.read_text())):
        modules = [node.module] if isinstance(node, ast.ImportFrom) else []
        modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for module in modules:
            assert module is not None, "relative imports don't work at the root of a function's code"
            assert module.partition(".")[0] in allowed


@pytest.mark.parametrize("name", NAMES)
def test_the_permissions_of_a_function_are_written_down(name: str) -> None:
    assert f"### {name} (" in (HANDLERS / "README.md").read_text()


def test_an_answer_reaches_a_web_server_with_the_empty_content_type_that_was_signed() -> None:
    received: list[tuple[str, str | None, bytes]] = []

    class Server(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append((self.command, self.headers["Content-Type"], body))
            self.send_response(200 if self.path == "/good" else 403)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            put_answer(f"http://127.0.0.1:{server.server_port}/good", b"{}")
            with pytest.raises(OSError, match="403"):
                put_answer(f"http://127.0.0.1:{server.server_port}/bad", b"{}")
        finally:
            server.shutdown()
            thread.join()
    assert received[0] == ("PUT", "", b"{}")
