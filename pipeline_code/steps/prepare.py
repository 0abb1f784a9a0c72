"""Turn a batch into rows that the model scores: id first, then the features, no header.

Inputs: ``batch``. Outputs: ``prepared/<name>.csv``, one for each file of the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .model import Model, read_model, value_text
from .program import DataError, data_files, folder_of, main_exit, parser, run
from .rows import FileRows, Problem, feature_rows, read_batch_file

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
    problems: list[Problem] = []
    files = read_batch(model, batch, problems)
    if problems:
        raise DataError(str(problems[0]))
    rows = write_prepared(model, files, folder_of(output, "prepared"))
    return f"Completed: {rows} rows are prepared."


def read_batch(model: Model, batch: Path, problems: list[Problem]) -> list[FileRows]:
    """Return the rows of a batch's files; what is wrong with them is added to `problems`."""
    return [
        read_batch_file(path, path.relative_to(batch).as_posix(), model, problems)
        for path in data_files(batch)
    ]


def write_prepared(model: Model, files: Sequence[FileRows], folder: Path) -> int:
    """Write the rows of a batch as the transform job reads them; return how many.

    Repairs are those of training. A file's name stays, with ``.csv`` for an ending.
    """
    for rows, path in zip(files, destinations([rows.name for rows in files], folder), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8", newline="") as out:
            for row_id, features in zip(rows.ids, feature_rows(rows, model), strict=True):
                cells = (
                    value_text(column.encode(value))
                    for column, value in zip(model.columns, features, strict=True)
                )
                out.write(f"{row_id},{','.join(cells)}\n")
    return sum(rows.rows for rows in files)


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
