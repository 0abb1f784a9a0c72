"""The folder that stands in for a container's file system: `/opt/ml` of a job, its environment, what it leaves."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

CONTAINER_ROOT = "/opt/ml"
MESSAGE_LIMIT = 1024
# Where `make wheels` keeps this machine's own files of packages that the container has others of.
WHEELS = Path(__file__).resolve().parents[2] / "build" / "wheels"

_IN_CONTAINER = re.compile(r"(?<![\w.-])/opt/ml(?![\w.-])")
_PYTHON = frozenset(
    {"python", "python3", "/usr/bin/python3", "/usr/local/bin/python3", "/miniconda3/bin/python3"}
)


class Sandbox:
    """Folders of one job.

    Parameters
    ----------
    folder
        Made if it isn't there.

    Attributes
    ----------
    root
        Stands in for ``/opt/ml``.
    stdout, stderr
        What the program wrote.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "opt" / "ml"
        self.stdout = folder / "stdout.log"
        self.stderr = folder / "stderr.log"
        for name in ("input/config", "output/metrics/cloudwatch", "model", "processing"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        (folder / "tmp").mkdir(exist_ok=True)

    def path(self, container_path: str) -> Path:
        """Return where a path of the container lies.

        Raises
        ------
        ValueError
            It isn't under ``/opt/ml``, and can't be relocated.
        """
        if container_path != CONTAINER_ROOT and not container_path.startswith(CONTAINER_ROOT + "/"):
            raise ValueError(f"local path {container_path!r} isn't under {CONTAINER_ROOT}")
        path = self.root / container_path[len(CONTAINER_ROOT) :].lstrip("/")
        if not path.resolve().is_relative_to(self.root.resolve()):
            raise ValueError(f"local path {container_path!r} leads out of {CONTAINER_ROOT}")
        return path

    def relocate(self, text: str) -> str:
        """Return a text with every ``/opt/ml`` in it replaced by the folder that stands in for it."""
        return _IN_CONTAINER.sub(lambda _: str(self.root), text)

    def command(self, entrypoint: Sequence[str], arguments: Sequence[str]) -> list[str]:
        """Return the command line of a container for this machine."""
        command = [self.relocate(word) for word in (*entrypoint, *arguments)]
        if command and command[0] in _PYTHON:
            command[0] = sys.executable
        return command

    def environment(self, session: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
        """Return all that the program's environment holds: nothing of the engine's own gets in.

        Parameters
        ----------
        session
            Credentials, region and endpoint of the job's role.
        given
            The ``Environment`` of the job.
        """
        return {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"]),
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder / "tmp"),
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            "PYTHONNOUSERSITE": "1",
            "OMP_NUM_THREADS": "1",  # sums in one order: the same data give the same model
            "OPENBLAS_NUM_THREADS": "1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "SAGEMAKER_BASE_DIR": str(self.root),
            "STEPS_WHEELS": os.environ.get("MLOPS_WHEELS") or str(WHEELS),
            **session,
            **{name: self.relocate(value) for name, value in given.items()},
        }

    def exit_message(self) -> str | None:
        """Return what the program left in ``/opt/ml/output/message``."""
        return _head(self.root / "output" / "message")

    def failure_reason(self, exit_code: int) -> str:
        """Return why the program failed: its own word in ``/opt/ml/output/failure``, else what it wrote last."""
        said = _head(self.root / "output" / "failure") or last_words(_tail(self.stderr))
        if exit_code > 128 and not said:
            said = f"the program was ended by signal {exit_code - 128}"
        suffix = f", exit code: {exit_code}"
        room = MESSAGE_LIMIT - len("AlgorithmError: ") - len(suffix)
        return f"AlgorithmError: {said[-room:]}{suffix}"

    def metrics(self) -> list[dict[str, Any]]:
        """Return the metrics that the program wrote as JSON lines under ``/opt/ml/output/metrics/cloudwatch``."""
        folder = self.root / "output" / "metrics" / "cloudwatch"
        return [
            metric for file in sorted(folder.rglob("*")) if file.is_file() for metric in _json_lines(file)
        ]

    def remove_data(self) -> None:
        """Remove all but what the program wrote to its standard streams."""
        shutil.rmtree(self.folder / "opt", ignore_errors=True)
        shutil.rmtree(self.folder / "tmp", ignore_errors=True)


def last_words(text: str) -> str:
    """Return the last lines of what a program wrote; of a Python traceback only what it ends with."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    start = max(
        (i for i, line in enumerate(lines) if line.startswith("Traceback (most recent call last)")),
        default=None,
    )
    if start is not None:
        after = next((i for i in range(start + 1, len(lines)) if not lines[i].startswith(" ")), None)
        if after is not None:
            return "\n".join(lines[after:])
    return "\n".join(lines[-5:])


def _head(file: Path) -> str | None:
    if not file.is_file():
        return None
    with file.open("rb") as stream:
        return stream.read(MESSAGE_LIMIT).decode(errors="replace").strip() or None


def _tail(file: Path) -> str:
    if not file.is_file():
        return ""
    with file.open("rb") as stream:
        stream.seek(max(0, file.stat().st_size - 16_384))
        return stream.read().decode(errors="replace")


def _json_lines(file: Path) -> Iterable[dict[str, Any]]:
    for line in file.read_text(errors="replace").splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue  # a metric nobody can read is lost, as on CloudWatch
        if isinstance(value, dict):
            yield value
