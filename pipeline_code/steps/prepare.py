"""Turn a batch into rows that the model scores: id first, then the features, no header.

Inputs: ``batch``. Outputs: ``prepared/<name>.csv``, one for each file of the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from .model import Model, read_model, value_text
from .parts import batch_parts
from .program import DataError, data_files, folder_of, main_exit, parser, run
from .rows import FileRows, Problem, feature_rows

NOT_PREPARED = "NOT_PREPARED"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the step; return its exit code."""
    given = parser("prepare", "Prepare a batch for scoring.").parse_args(arguments)
    return run(lambda: prepare(read_model(given.model), given.input / "batch", given.output))


def prepare(model: Model, batch: Path, output: Path) -> str:
    """Prepare a batch that another monitor has checked.

    Raises
    ------
    DataError
        At the first row that doesn't fit the model's description.
    """
    rows = write_prepared(model, batch, folder_of(output, "prepared"))
    return f"Completed: {rows} rows are prepared."


def write_prepared(model: Model, batch: Path, folder: Path, *, checked: bool = False) -> int:
    """Write the rows of a batch as the transform job reads them; return how many.

    Repairs are those of training. A file's name stays, with ``.csv`` for an ending.

    Parameters
    ----------
    checked
        Whether a verdict has found what is wrong with the batch tolerable: a cell of the wrong type is missing then.

    Raises
    ------
    DataError
        At the first row that doesn't fit the model's description, where the batch isn't checked.
    """
    files = data_files(batch)
    names = [path.relative_to(batch).as_posix() for path in files]
    targets = destinations(names, folder)
    problems: list[Problem] = []
    written = 0
    for path, name, target in zip(files, names, targets, strict=True):
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("w", encoding="utf-8", newline="") as out:
            for rows in batch_parts(path, name, model, problems):
                if checked:
                    problems.clear()
                written += _write_rows(model, rows, out)
        if problems and not checked:
            for made in targets:
                made.unlink(missing_ok=True)  # no part of a batch is scored
            raise DataError(str(problems[0]))
    return written


def _write_rows(model: Model, rows: FileRows, out: TextIO) -> int:
    for row_id, features in zip(rows.ids, feature_rows(rows, model), strict=True):
        cells = (
            value_text(column.encode(value)) for column, value in zip(model.columns, features, strict=True)
        )
        out.write(f"{row_id},{','.join(cells)}\n")
    return rows.rows


def destinations(names: Sequence[str], folder: Path) -> list[Path]:
    """Return where the rows of each file of a batch go.

    Raises
    ------
    DataError
        Two would go to the same file, or one to where another needs a folder.
    """
    taken: dict[Path, str] = {}
    for name in names:
        path = (folder / name).with_suffix(".csv")
        if path in taken:
            raise DataError(f"two files of the batch would both become {path.name}: rename {name}")
        taken[path] = name
    for path, name in taken.items():
        if any(parent in taken for parent in path.parents):
            raise DataError(
                f"a file and a folder of the batch would have one name: rename the folder of {name}"
            )
    return list(taken)


def write_nothing(reason: str, folder: Path) -> None:
    """Say in the output folder why it holds no rows: SageMaker should never find it empty."""
    (folder / NOT_PREPARED).write_text(reason + "\n", encoding="utf-8")


if __name__ == "__main__":
    main_exit(main)
