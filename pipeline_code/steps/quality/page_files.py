"""The report's page from the files of a check, and back into a file."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from ..program import UsageError, one_line, read_json
from .page import REPORT, render


def write_page(
    report: Path,
    baseline: Path,
    *,
    statistics: Path | None = None,
    history: Path | None = None,
    model: str = "",
    batch: Sequence[str] = (),
    checked_at: datetime | None = None,
) -> Path:
    """Write report.html beside verdict.json and return where it is.

    Parameters
    ----------
    report
        Folder with verdict.json and statistics.json of a check.
    baseline
        statistics.json of the baseline.
    statistics
        statistics.json of the check, where it isn't in that folder.
    history
        history.json: the batches before, oldest first. Default, and where the file isn't there: none.
    model, batch
        The model's name and those of the batch's files, for the head of the page.
    checked_at
        Default: now.

    Raises
    ------
    UsageError
        A file is missing or isn't what its name says.
    """
    verdict, found = _object(report / "verdict.json"), _object(statistics or report / "statistics.json")
    page = render(
        verdict,
        statistics=found,
        baseline=_named_alike(_object(baseline), found),
        history=_history(history),
        model=model,
        batch=batch[0] if len(batch) == 1 else f"{len(batch):,} files" if batch else "",
        checked_at=checked_at,
    )
    path = report / REPORT
    path.write_text(page, encoding="utf-8")
    return path


def try_page(report: Path, baseline: Path, **given: Any) -> None:
    """Write the page where that is possible: the verdict stands without it, and must not be lost for it."""
    try:
        write_page(report, baseline, **given)
    except Exception as error:  # noqa: BLE001 - whatever it is, it concerns the page only
        print(one_line(f"no {REPORT}: {type(error).__name__}: {error}"), file=sys.stderr)


def _object(path: Path) -> dict[str, Any]:
    try:
        content = read_json(path)
    except FileNotFoundError:
        raise UsageError(f"there is no {path.name} in '{path.parent}'") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{path.name} can't be read as JSON: {error}") from None
    if not isinstance(content, dict):
        raise UsageError(f"{path.name} is not an object")
    return content


def _history(path: Path | None) -> list[dict[str, Any]]:
    """Return the batches before; a history that can't be read is told, and counts as none."""
    if path is None or not path.exists():
        return []
    try:
        content = read_json(path)
    except (OSError, ValueError) as error:
        print(one_line(f"{path.name} can't be read as JSON and is left out: {error}"), file=sys.stderr)
        return []
    if not isinstance(content, list):
        print(f"{path.name} is not a list and is left out", file=sys.stderr)
        return []
    return [item for item in content if isinstance(item, dict)]


def _named_alike(baseline: dict[str, Any], statistics: dict[str, Any]) -> dict[str, Any]:
    """Return the baseline with the batch's names where it has those that Model Monitor gives to headerless files."""
    theirs, ours = (
        [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []
        for found in (baseline.get("features"), statistics.get("features"))
    )
    positions = [re.fullmatch(r"_c(\d+)", str(item.get("name"))) for item in theirs]
    if len(theirs) != len(ours) or not all(
        found and int(found.group(1)) == place for place, found in enumerate(positions)
    ):
        return baseline
    renamed = [{**item, "name": own.get("name")} for item, own in zip(theirs, ours, strict=True)]
    return {**baseline, "features": renamed}
