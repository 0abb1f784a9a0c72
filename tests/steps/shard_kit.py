"""A batch checked on one instance and on several, side by side."""

from __future__ import annotations

import json
import random
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipeline_code.steps import check_batch, check_shard, merge_checks
from tests.steps.steps_kit import Main

Batch = dict[str, bytes]


@dataclass
class Outcome:
    """How a check ended, and what it left."""

    code: int
    message: str
    verdict: dict[str, Any]
    prepared: dict[str, str]
    violations: dict[str, Any]
    statistics: dict[str, Any]
    metrics: dict[str, Any]
    page: str


@dataclass
class Checks:
    """Runs checks of batches against one baseline.

    Attributes
    ----------
    archive
        The model whose predictions are compared. Default: none are.
    """

    root: Path
    model_path: Path
    baseline: Path
    archive: Path | None = None

    def _run(self, name: str, main: Main, *more: str, hosts: tuple[str, ...] = ("algo-1",)) -> int:
        """Run a program in the container of the first of these hosts."""
        root = self.root / name
        (root / "config").mkdir(parents=True, exist_ok=True)
        described = {"current_host": hosts[0], "hosts": sorted(hosts)}
        (root / "config" / "resourceconfig.json").write_text(json.dumps(described))
        arguments = ["--model", str(self.model_path), "--input", str(root / "in"), "--output"]
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SAGEMAKER_BASE_DIR", str(root))
            return main([*arguments, str(root / "out"), *more])

    def _lay_out(self, name: str, batch: Batch) -> None:
        for path, content in batch.items():
            target = self.root / name / "in" / "batch" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)

    def _lay_out_model(self, name: str) -> None:
        if self.archive is not None:
            folder = self.root / name / "in" / "model"
            folder.mkdir(parents=True)
            shutil.copy(self.archive, folder / "model.tar.gz")

    def _lay_out_baseline(self, name: str) -> None:
        for kind in ("statistics", "constraints"):
            (self.root / name / "in" / kind).mkdir(parents=True)
            shutil.copy(self.baseline / f"{kind}.json", self.root / name / "in" / kind)

    def alone(self, batch: Batch, *more: str) -> Outcome:
        """Check a batch on one instance."""
        self._lay_out("whole", batch)
        self._lay_out_baseline("whole")
        self._lay_out_model("whole")
        code = self._run("whole", check_batch.main, *more)
        return self._outcome("whole", code, _files(self.root / "whole" / "out"))

    def shared(
        self,
        batch: Batch,
        instances: int,
        *more: str,
        lost: str = "",
        without_model: str = "",
        seed: int | None = None,
    ) -> Outcome:
        """Check a batch on several instances.

        Parameters
        ----------
        lost, without_model
            The instance whose outputs are lost, or which gets no model.
        seed
            Of a deal at random. Default: in the order of the files' names.
        """
        uploaded: Batch = {}
        hosts = tuple(f"algo-{number}" for number in range(1, instances + 1))
        names = sorted(batch)
        dealt = [names[number::instances] for number in range(instances)]
        if seed is not None:
            rng, dealt = random.Random(seed), [[] for _ in hosts]
            for name in names:
                rng.choice(dealt).append(name)
        for number, host in enumerate(hosts):
            self._lay_out(host, {name: batch[name] for name in dealt[number]})
            if host != without_model:
                self._lay_out_model(host)
            code = self._run(host, check_shard.main, hosts=(host, *hosts[:number], *hosts[number + 1 :]))
            if code:
                return self._outcome(host, code, uploaded)
            if host != lost:
                uploaded |= _files(self.root / host / "out")
        self._lay_out_baseline("verdict")
        (self.root / "verdict" / "in" / "states").mkdir()
        for name in (name for name in uploaded if name.startswith("state/")):
            (self.root / "verdict" / "in" / "states" / Path(name).name).write_bytes(uploaded[name])
        code = self._run("verdict", merge_checks.main, "--instances", str(instances), *more)
        return self._outcome("verdict", code, uploaded)

    def _outcome(self, name: str, code: int, uploaded: Batch) -> Outcome:
        report = self.root / name / "out" / "report"
        found = [
            json.loads((report / file).read_text()) if code == 0 else {}
            for file in ("verdict.json", "constraint_violations.json", "statistics.json", "metrics.json")
        ]
        rows = {
            name.removeprefix("prepared/"): content.decode()
            for name, content in sorted(uploaded.items())
            if name.startswith("prepared/")
        }
        message = (self.root / name / "output" / "message").read_text().strip()
        page = (report / "report.html").read_text() if code == 0 else ""
        timeless = re.sub(r"\d\d \w+ \d{4}, \d\d:\d\d UTC", "", page)
        for metric in found[3].get("metrics", []):
            del metric["Timestamp"]
        return Outcome(code, message, found[0], rows, found[1], found[2], found[3], timeless)


def _files(output: Path) -> Batch:
    """Return what an instance uploads: names below the outputs' prefix, and contents."""
    found = (path for path in output.rglob("*") if path.is_file())
    return {path.relative_to(output).as_posix(): path.read_bytes() for path in found}


def near(found: Any, wanted: Any) -> bool:
    """Whether two JSON values are the same but for the last digits of numbers: sums of parts are rounded otherwise."""
    if isinstance(wanted, dict):
        return list(found) == list(wanted) and all(near(found[key], wanted[key]) for key in wanted)
    if isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(near, found, wanted))
    if isinstance(wanted, float):
        return bool(found == pytest.approx(wanted, rel=1e-9))
    return bool(found == wanted)


def same(whole: Outcome, shared: Outcome) -> None:
    """Assert that both say the same, and that what is delivered holds the same rows."""
    assert (shared.code, shared.message) == (whole.code, whole.message)
    assert shared.violations == whole.violations
    assert shared.page == whole.page
    assert near(shared.verdict, whole.verdict)
    assert near(shared.statistics, whole.statistics)
    assert near(shared.metrics, whole.metrics)
    if whole.verdict.get("action") in ("deliver", "announce_and_deliver"):
        assert shared.prepared == whole.prepared


def in_files(lines: list[str], files: int, header: str = "") -> Batch:
    """Deal lines to files, in a folder and beside it."""
    names = [f"part/{n}.csv" if n % 2 else f"{n}.csv" for n in range(files)]
    return {name: (header + "".join(lines[n::files])).encode() for n, name in enumerate(names)}
