"""Commands of the embedded cloud: ``python -m local_cloud up | down | status | serve``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from local_cloud import keeper
from local_cloud.cloud import DEFAULT_ACCOUNTS, DEFAULT_REGION
from local_cloud.process import SAGEMAKER_SERVICE, LocalCloudError
from local_cloud.server import ServerOptions, run


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local_cloud", description="The embedded cloud.")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start one and keep it running")
    up.add_argument(
        "--accounts", nargs="+", default=list(DEFAULT_ACCOUNTS), metavar="ID", help="12-digit account ids"
    )
    up.add_argument(
        "--profile",
        action="append",
        default=[],
        metavar="NAME=ID",
        help="name an account's AWS profile; may be repeated",
    )
    up.add_argument("--region", default=DEFAULT_REGION)
    up.add_argument("--port", type=int, default=keeper.DEFAULT_PORT, help="the port that counts as TLS")
    commands.add_parser("down", help="end it")
    commands.add_parser("status", help="say whether one is running, and where")
    serve = commands.add_parser("serve", help="serve in the foreground (what the others start)")
    serve.add_argument("--work-dir", type=Path, required=True)
    serve.add_argument("--port", type=int, default=0)
    serve.add_argument("--plain-port", type=int, default=0)
    serve.add_argument("--default-account", default=DEFAULT_ACCOUNTS[0])
    serve.add_argument("--temporary", action="store_true", help="remove the work folder at the end")
    serve.add_argument("--detached", action="store_true", help="don't end when standard input closes")
    serve.add_argument("--sagemaker-module", default=SAGEMAKER_SERVICE)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run a command; 0 when it did what it says."""
    given = _parser().parse_args(arguments)
    if given.command == "serve":
        return run(
            ServerOptions(
                work_dir=given.work_dir,
                port=given.port,
                plain_port=given.plain_port,
                default_account=given.default_account,
                temporary=given.temporary,
                watch_stdin=not given.detached,
                sagemaker_module=given.sagemaker_module,
            )
        )
    try:
        if given.command == "up":
            profiles = dict(item.partition("=")[::2] for item in given.profile)
            return keeper.up(
                accounts=list(dict.fromkeys(profiles.values())) or given.accounts,
                region=given.region,
                profiles=profiles or None,
                port=given.port,
            )
        return keeper.down() if given.command == "down" else keeper.status()
    except (LocalCloudError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
