"""``make rehearse``: the delivery pipeline on an embedded cloud, and six commits that must not arrive."""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import sys
from pathlib import Path

from demo.story import DemoError
from local_cloud.cloud import LocalCloudError
from ops.errors import CommandError
from rehearsal import begin, failures, other_ci, page, promotions, way_back
from rehearsal.approver import Approver
from rehearsal.errors import RehearsalError
from rehearsal.origin import uncommitted
from rehearsal.path import Record
from stacks.section import SettingsError

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "build" / "rehearsal"
MADE_BY_US = ".rehearsal"
PARTS = ("promotions", "failures", "way-back", "other-ci")


def main(arguments: list[str] | None = None) -> int:
    """Run the rehearsal; return 1 with one line where a part doesn't show what it should."""
    options = _parser().parse_args(arguments)
    out: Path = options.output.resolve()
    shown = str(out.relative_to(ROOT) if out.is_relative_to(ROOT) else out)
    try:
        approver = Approver.of_this_terminal()
        if out.exists() and any(out.iterdir()) and not (out / MADE_BY_US).exists():
            raise RehearsalError(f"--output names '{shown}', which holds other files; name a new folder")
        out.parent.mkdir(parents=True, exist_ok=True)
        with (out.parent / f".{out.name}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RehearsalError(f"another one is writing to '{shown}'; wait for it") from None
            return perform(out, shown, approver, options)
    except RehearsalError as error:
        return _told(error)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m rehearsal")
    parser.add_argument("--output", type=Path, default=OUT, help="folder that is emptied and written to")
    parser.add_argument(
        "--quick",
        action="store_true",
        default=os.environ.get("QUICK") == "1",
        help="a quick stand-in for the test suite in the first promotion too",
    )
    parser.add_argument(
        "--everything",
        action="store_true",
        default=os.environ.get("EVERYTHING") == "1",
        help="with all switched on that adds to the stacks, networks of their own included",
    )
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=list(PARTS), help="what to rehearse")
    return parser


def perform(out: Path, shown: str, approver: Approver, options: argparse.Namespace) -> int:
    """Empty the folder, run the parts, write the page and the numbers whatever became of them."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    (out / MADE_BY_US).touch()
    record = Record()
    print(f"Logs are in {shown}/", flush=True)
    if changed := uncommitted(ROOT):
        print(f"Not rehearsed: {len(changed)} uncommitted changes ({', '.join(changed[:3])} ...)", flush=True)
    code = 0
    try:
        run(out, record, approver, options)
    except (RehearsalError, DemoError, CommandError, SettingsError, LocalCloudError) as error:
        record.facts["error"] = str(error)
        code = _told(error)
    finally:
        record.write(out)
        (out / "report.html").write_text(page.render(record.as_json()))
    ending = f"rehearsed in {record.seconds:.0f} s" if code == 0 else f"ended after {record.seconds:.0f} s"
    print(
        f"\n{record.table()}\n\n{ending}. Open {shown}/report.html; its numbers are in {shown}/summary.json"
    )
    return code


def run(out: Path, record: Record, approver: Approver, options: argparse.Namespace) -> None:
    """Run the parts."""
    parts = options.parts
    with begin.world(ROOT, out, record, approver, everything=options.everything) as world:
        if "promotions" in parts:
            promotions.first(world, quick=options.quick)
            promotions.second(world)
        if "failures" in parts:
            failures.all_cases(world)
        if "way-back" in parts:
            way_back.way_back(world)
        if "other-ci" in parts:
            other_ci.other_systems(world)


def _told(error: Exception) -> int:
    print(f"\nrehearse: {error}", file=sys.stderr)
    return 1
