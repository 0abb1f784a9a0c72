"""What every step has in common: its folders, its exit message and its exit codes."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

BAD_DATA, BAD_USAGE, FAULT = 1, 2, 3

CODE_ROOT = Path(__file__).resolve().parent.parent


class DataError(Exception):
    """The data can't be used; the message is one line that names file, line, value and rule. Exit code 1."""


class UsageError(Exception):
    """Arguments, model.json, a model archive or a baseline can't be used. Exit code 2."""


def base_dir() -> Path:
    """Return the container's root folder: ``$SAGEMAKER_BASE_DIR``, by default ``/opt/ml``."""
    return Path(os.environ.get("SAGEMAKER_BASE_DIR") or "/opt/ml")


def parser(module: str, summary: str) -> argparse.ArgumentParser:
    """Return a parser with the arguments that all steps share."""
    result = argparse.ArgumentParser(prog=f"python -m steps.{module}", description=summary)
    add_folders(result)
    return result


def add_folders(target: argparse.ArgumentParser) -> None:
    """Add ``--model``, ``--input`` and ``--output``."""
    processing = base_dir() / "processing"
    target.add_argument(
        "--model", type=Path, default=CODE_ROOT / "model.json", help="default: beside the folder steps"
    )
    target.add_argument(
        "--input", type=Path, default=processing / "input", help="one folder an input (default: %(default)s)"
    )
    target.add_argument(
        "--output",
        type=Path,
        default=processing / "output",
        help="one folder an output (default: %(default)s)",
    )


def run(work: Callable[[], str]) -> int:
    """Do a step's work, leave its exit message, and return its exit code.

    Parameters
    ----------
    work
        Returns the one line that says how it went.
    """
    try:
        message = work()
    except DataError as error:
        return _fail(str(error), BAD_DATA)
    except UsageError as error:
        return _fail(str(error), BAD_USAGE)
    except Exception as error:  # noqa: BLE001 - a fault of ours: its trace belongs into the job's log
        traceback.print_exc()
        return _fail(f"fault of the program: {type(error).__name__}: {error}", FAULT)
    print(message)
    write_exit_message(message)
    return 0


def _fail(message: str, code: int) -> int:
    line = " ".join(message.split())
    print(line, file=sys.stderr)
    write_exit_message(line)
    return code


def write_exit_message(line: str) -> None:
    """Write the line that SageMaker shows as the job's exit message.

    Outside a container there is no base folder, and nothing is written.
    See https://docs.aws.amazon.com/sagemaker/latest/dg/build-your-own-processing-container.html
    """
    if not base_dir().is_dir():
        return
    with suppress(OSError):  # the outcome stands, whether or not it can be told
        folder = base_dir() / "output"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "message").write_text(line + "\n", encoding="utf-8")


def folder_of(root: Path, name: str) -> Path:
    """Return an output folder, made where it is missing."""
    path = root / name
    path.mkdir(parents=True, exist_ok=True)
    return path


def data_files(folder: Path, *, suffix: str | None = None) -> list[Path]:
    """Return the files of a folder, in the order of their names.

    Parameters
    ----------
    suffix
        Ending that a data file must have. Default: any; hidden files never count.

    Raises
    ------
    DataError
        The folder holds none.
    """
    found = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    wanted = [path for path in found if suffix is None or path.suffix.lower() == suffix]
    if not wanted:
        there = f"; there is {found[0].name}" if found else ""
        raise DataError(f"no {suffix or 'data'} file in the input folder '{folder.name}'{there}")
    return wanted


def sole_file(folder: Path, name: str) -> Path:
    """Return the file of that name below a folder.

    Raises
    ------
    UsageError
        It isn't there, or there are several.
    """
    found = sorted(folder.rglob(name)) if folder.is_dir() else []
    if len(found) != 1:
        raise UsageError(
            f"expected one {name} in the input folder '{folder.name}', found {len(found) or 'none'}"
        )
    return found[0]


def main_exit(main: Callable[[Sequence[str] | None], int]) -> None:
    """Run a step's ``main`` on the command line's arguments and leave with its code."""
    raise SystemExit(main(None))
