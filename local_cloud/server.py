"""The server process: two loopback ports, an engine, and an end that leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from local_cloud.process import CODEPIPELINE_SERVICE, DEFAULT_ACCOUNT, SAGEMAKER_SERVICE

if TYPE_CHECKING:
    from local_cloud.adapter import Engine

LOOPBACK = "127.0.0.1"
CONTROL_PREFIX = "/_local_cloud/"
_GRACE_SECONDS = 1.0

logger = logging.getLogger("local_cloud.server")


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """How to serve.

    Attributes
    ----------
    work_dir
        The only folder that is written to.
    port, plain_port
        Wanted ports, the one that counts as TLS and the one that doesn't; 0 for any. A taken one is stepped around.
    default_account
        Account of requests without credentials.
    temporary
        Remove the work folder at the end.
    watch_stdin
        End when standard input closes, so that the server dies with its parent.
    sagemaker_module
        Name of the module with the SageMaker service.
    """

    work_dir: Path
    port: int = 0
    plain_port: int = 0
    default_account: str = DEFAULT_ACCOUNT
    temporary: bool = False
    watch_stdin: bool = True
    sagemaker_module: str = SAGEMAKER_SERVICE


def listen(wanted: int) -> socket.socket:
    """Listen on a loopback port, or on a free one when it is taken."""
    for port in dict.fromkeys((wanted, 0)):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
        except OSError:
            listener.close()
            continue
        listener.listen(128)
        return listener
    raise OSError(f"no free port on {LOOPBACK}")


def _set_environment(options: ServerOptions, port: int) -> None:
    """Set what ministack reads when it is imported, and what its Lambda functions inherit."""
    temporary = options.work_dir / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    for name in [
        name for name in os.environ if name.startswith(("AWS_", "MINISTACK_", "LOCALSTACK_", "PYTHONPATH"))
    ]:
        del os.environ[name]
    os.environ.update(
        AUTH="true",
        AWS_CONFIG_FILE=os.devnull,
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
        AWS_EC2_METADATA_DISABLED="true",
        BIND_HOST=LOOPBACK,
        DOCKER_HOST=f"unix://{temporary}/no-docker.sock",
        GATEWAY_PORT=str(port),
        IOT_MTLS_ENABLED="0",
        LAMBDA_EXECUTOR="local",
        LOG_LEVEL="WARNING",
        MINISTACK_ACCOUNT_ID=options.default_account,
        MINISTACK_HOST=LOOPBACK,
        PERSIST_STATE="0",
        PYTHONDONTWRITEBYTECODE="1",
        S3_DATA_DIR=str(options.work_dir / "s3"),
        S3_PERSIST="0",
        SFTP_ENABLED="0",
        STATE_DIR=str(options.work_dir / "state"),
        TMPDIR=str(temporary),
    )
    tempfile.tempdir = str(temporary)


async def _answer(send: Callable[..., Awaitable[None]], status: int, content: Any) -> None:
    body = json.dumps(content).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def with_control(engine: Engine) -> Callable[..., Awaitable[None]]:
    """Serve the few calls that are not AWS's beside the engine."""

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        path = scope.get("path", "")
        if scope["type"] != "http" or not path.startswith(CONTROL_PREFIX):
            await engine.app(scope, receive, send)
            return
        query = {key: values[0] for key, values in parse_qs(scope["query_string"].decode()).items()}
        action = path.removeprefix(CONTROL_PREFIX)
        try:
            if action == "health":
                await _answer(send, 200, {"status": "ready"})
            elif action == "messages":
                await _answer(send, 200, engine.messages(query["topic_arn"]))
            elif action == "fire" and scope["method"] == "POST":
                failure = engine.fire(query["account"], query["region"], query["name"], query["group"])
                await _answer(send, 200, {"failure": failure})
            elif action == "session" and scope["method"] == "POST":
                source = f"arn:aws:sagemaker:{query['region']}:{query['role_arn'].split(':')[4]}:local-cloud"
                issued = engine.issue_session(query["role_arn"], query["service"], query["name"], source)
                await _answer(send, 200, issued)
            elif action == "repository" and scope["method"] == "POST":
                engine.delivery_service.connect_repository(query["name"], query["path"])
                await _answer(send, 200, {})
            elif action == "build-commands" and scope["method"] == "POST":
                if "command" in query:
                    engine.delivery_service.replace_command(query["command"], query.get("replacement", ""))
                else:
                    engine.delivery_service.restore_commands()
                await _answer(send, 200, {})
            else:
                await _answer(send, 404, {"message": f"there is no {action}"})
        except LookupError as error:
            await _answer(send, 404, {"message": str(error.args[0])})
        except PermissionError as error:
            await _answer(send, 403, {"message": str(error)})

    return app


def _end_group() -> None:
    """End what this process has started: Lambda functions and steps share its process group."""
    if os.getpgrp() != os.getpid():
        return
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(os.getpgrp(), signal.SIGTERM)


async def _serve(options: ServerOptions, sockets: list[socket.socket], announce: Callable[[], None]) -> None:
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    from local_cloud.adapter import Engine

    port = sockets[0].getsockname()[1]
    engine = Engine(
        service=importlib.import_module(options.sagemaker_module),
        delivery_service=importlib.import_module(CODEPIPELINE_SERVICE),
        secure_endpoint=f"http://{LOOPBACK}:{port}",
        secure_port=port,
        work_dir=options.work_dir,
    )
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    if options.watch_stdin:
        threading.Thread(target=_wait_for_parent, args=(loop, ending), daemon=True).start()
    config = Config()
    config.bind = [f"fd://{listener.fileno()}" for listener in sockets]
    config.keep_alive_timeout = 75
    config.graceful_timeout = _GRACE_SECONDS
    config.loglevel = "WARNING"
    config.errorlog = logging.getLogger("hypercorn.error")

    async def trigger() -> None:
        announce()
        await ending.wait()

    clock = asyncio.create_task(engine.keep_time())
    try:
        await serve(with_control(engine), config, shutdown_trigger=trigger)
    finally:
        clock.cancel()
        with contextlib.suppress(Exception):
            await asyncio.wait_for(engine.shutdown(), timeout=5)


def _wait_for_parent(loop: asyncio.AbstractEventLoop, ending: asyncio.Event) -> None:
    while os.read(0, 4096):
        pass
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(ending.set)


def run(options: ServerOptions) -> int:
    """Serve until told to end; prints one line of JSON with the ports when ready.

    Parameters
    ----------
    options
        Where and how.
    """
    options.work_dir.mkdir(parents=True, exist_ok=True)
    sockets = [listen(options.port), listen(options.plain_port)]
    ports = [listener.getsockname()[1] for listener in sockets]
    _set_environment(options, ports[0])
    logging.basicConfig(
        filename=options.work_dir / "server.log",
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        force=True,
    )
    ready = {"pid": os.getpid(), "port": ports[0], "plain_port": ports[1]}

    def announce() -> None:
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()

    try:
        asyncio.run(_serve(options, sockets, announce))
    except Exception as error:  # the parent shows this one line
        logger.exception("the server ended")
        sys.stdout.write(json.dumps({"error": f"{type(error).__name__}: {error}"}) + "\n")
        sys.stdout.flush()
        return 1
    finally:
        _end_group()
        if options.temporary:
            # Here and not only in the program that started us: that may have been killed.
            shutil.rmtree(options.work_dir, ignore_errors=True)
    return 0
