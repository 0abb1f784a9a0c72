"""``make used-permissions``: record what is used, and write it to tests/usage/used.json.

Without arguments everything is recorded anew, which takes a quarter of an hour or more: the tests on the embedded
cloud, the demo, the rehearsal. With the names of tests only these run, and what they use is added.

So that the file can't go stale silently, three things look at it. A use that nothing grants any more fails a test at
once; so does a grant that has no use. And a run of the whole suite with CHECK_USED_PERMISSIONS=1 records itself and
fails where it no longer does what the file says of it (tests/conftest.py). What only the demo or the rehearsal does
is held to by their own assertions and recorded again with this command.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from local_cloud.process import RECORD_VARIABLE
from tests.usage import comparison, granted, used

ROOT = Path(__file__).resolve().parents[2]
#: Tests of installations of ours on the embedded cloud.
TESTS = ("tests/integration", "tests/cli", "tests/delivery_ci", "tests/local_cloud_delivery/test_messages.py")
#: What is run for each source.
PROGRAMS: dict[str, tuple[str, ...]] = {
    "tests": ("-m", "pytest", "-m", "cloud", *TESTS),
    "demo": ("-m", "demo"),
    "rehearsal": ("-m", "rehearsal", "--quick"),
}


def record(program: Sequence[str], recording: Path) -> int:
    """Run a program of Python while decisions are recorded; return its exit code.

    Parameters
    ----------
    program
        Its arguments.
    recording
        The file to append to.
    """
    environment = os.environ | {RECORD_VARIABLE: str(recording)}
    return subprocess.run([sys.executable, *program], cwd=ROOT, env=environment, check=False).returncode


def main(arguments: Sequence[str] | None = None) -> int:
    """Record and write; 1 where a program failed, since half a recording would look like a whole one."""
    parser = argparse.ArgumentParser(prog="python -m tests.usage")
    parser.add_argument("tests", nargs="*", help="run only these, and add what they use")
    parser.add_argument("--source", choices=used.SOURCES, action="append", help="record only this anew")
    parser.add_argument("--show", action="store_true", help="only compare the file with the templates")
    parser.add_argument("--recording", type=Path, help="read this file instead of running the source")
    options = parser.parse_args(arguments)
    if options.show:
        return _show()
    sources = ["tests"] if options.tests else options.source or list(used.SOURCES)
    uses = used.load() if used.FILE.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        for source in sources:
            recording = options.recording or Path(folder) / f"{source}.jsonl"
            program = ("-m", "pytest", *options.tests) if options.tests else PROGRAMS[source]
            if options.recording is None and record(program, recording):
                print(f"used-permissions: {source} failed, so nothing is written", file=sys.stderr)
                return 1
            found = used.read(recording)
            uses[source] = found | uses.get(source, frozenset()) if options.tests else found
    used.save(uses, granted.grants())
    return _show()


def _show() -> int:
    found = comparison.now()
    print(found.in_words)
    for line in comparison.told(found.unexplained):
        print(f"  {line}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
