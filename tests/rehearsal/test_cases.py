"""The commits that must not arrive: each edit fits the files as they are today, and does what its case needs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rehearsal import failures, promotions, settings
from rehearsal.builds import QUICK_TESTS
from rehearsal.errors import RehearsalError
from rehearsal.estate import StageState
from rehearsal.origin import Edit
from stacks.settings import load

ROOT = Path(__file__).resolve().parents[2]
EDITED = (
    "pipeline_code/mammography/model.yaml",
    "pipeline_code/steps/prepare.py",
    "stacks/scheduled_stage_stack.py",
    "tests/steps/test_distance.py",
)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    for name in EDITED:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.mark.parametrize(
    "edit", [case.edit for case in (*failures.CASES, failures.REFUSED) if case.edit] + [promotions.commented]
)
def test_every_edit_fits_the_files_and_leaves_valid_python(clone: Path, edit: Edit) -> None:
    before = {name: (clone / name).read_text() for name in EDITED}
    edit(clone)
    changed = [name for name in EDITED if (clone / name).read_text() != before[name]]
    assert changed
    for name in changed:
        if name.endswith(".py"):
            compile((clone / name).read_text(), name, "exec")


def test_the_failing_test_is_one_that_the_stand_in_runs(clone: Path) -> None:
    failures.untested(clone)
    assert "tests/steps/test_distance.py" in QUICK_TESTS
    assert "test_a_promise_is_kept" in (clone / "tests/steps/test_distance.py").read_text()


def test_the_stand_in_runs_tests_that_exist() -> None:
    assert [name for name in QUICK_TESTS if not (ROOT / name).is_file()] == []


def test_a_forgotten_make_definitions_is_what_the_lock_finds(tmp_path: Path) -> None:
    shutil.copytree(
        ROOT / "pipeline_code", tmp_path / "pipeline_code", ignore=shutil.ignore_patterns("__pycache__")
    )
    failures.stale(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "pipeline_code.lock", "--check"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert all(word in done.stderr + done.stdout for word in ("model.yaml", "make definitions"))


def test_swapped_columns_reach_the_prepared_rows(clone: Path) -> None:
    failures.columns_swapped(clone)
    text = (clone / "pipeline_code/steps/prepare.py").read_text()
    assert "[second, first, *others]" in text


def test_settings_of_every_moment_are_valid() -> None:
    values = settings.first()
    assert load(values).stages == ("dev", "prod")
    settings.add_staging(values)
    assert load(values).stages == ("dev", "staging", "prod")
    failures.gate_out_of_reach(values)
    failures.operators_added(values)
    assert load(values).models[0].thresholds.auc == 0.99
    for delivery in (settings.GITHUB, settings.JENKINS):
        assert load({**values, "delivery": delivery}).delivery is not None


def test_a_touched_stage_ends_the_rehearsal() -> None:
    before = StageState("UPDATE_COMPLETE", "08:00", {"train": {"mlops:definition": "a"}})
    failures.untouched(before, before)
    for after in (
        StageState("UPDATE_COMPLETE", "08:01", before.pipelines),
        StageState("UPDATE_COMPLETE", "08:00", {"train": {"mlops:definition": "b"}}),
    ):
        with pytest.raises(RehearsalError, match="prod is untouched"):
            failures.untouched(before, after)
