"""What every step has in common: its folders, its exit message and its exit codes."""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

BAD_DATA, BAD_USAGE, FAULT = 1, 2, 3
MESSAGE_LENGTH = 1000  # SageMaker shows 1,024 characters of a job's exit message

_EXPONENT = re.compile(r"[eE]\+?\d{3}")

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
        return fail(str(error), BAD_DATA)
    except UsageError as error:
        return fail(str(error), BAD_USAGE)
    except Exception as error:  # noqa: BLE001 - a fault of ours: its trace belongs into the job's log
        traceback.print_exc()
        return fail(f"fault of the program: {type(error).__name__}: {error}", FAULT)
    line = one_line(message)
    print(line)
    write_exit_message(line)
    return 0


def one_line(text: str) -> str:
    """Return a text as one line of at most `MESSAGE_LENGTH` characters; what can't be shown becomes a question mark.

    Data and archives are quoted in messages: a line break, an escape sequence of a terminal or half a character in them
    must not change what a log, a mail or the next program sees.
    """
    line = "".join(letter if letter.isprintable() else "?" for letter in " ".join(text.split()))
    return line if len(line) <= MESSAGE_LENGTH else line[: MESSAGE_LENGTH - 3] + "..."


def fail(message: str, code: int) -> int:
    """Leave a message as the reason why a step failed, and return the exit code given."""
    line = one_line(message)
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
    """Return an output folder, made where it is missing.

    Raises
    ------
    UsageError
        It can't be made.
    """
    path = root / name
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        why = f"the output folder '{path}' can't be made: {error.strerror}"
        raise UsageError(f"{why}; name another with --output") from None
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
        The folder holds none, or a link that leads to none.
    """
    found = files_below(folder)
    wanted = [path for path in found if suffix is None or path.suffix.lower() == suffix]
    if not wanted:
        there = f"; there is {found[0].name}" if found else ""
        raise DataError(f"no {suffix or 'data'} file in the input folder '{folder.name}'{there}")
    return wanted


def files_below(folder: Path) -> list[Path]:
    """Return the files of a folder, perhaps none, in the order of their names; hidden ones don't count.

    Raises
    ------
    DataError
        There is a link that doesn't lead to a file: what it stands for would be left out, and nobody would know.
    """
    found = []
    for path in sorted(folder.rglob("*")):
        place = path.relative_to(folder)
        if any(part.startswith(".") for part in place.parts):
            continue
        if path.is_file():
            found.append(path)
        elif path.is_symlink():
            where = "to a folder, which isn't followed" if path.is_dir() else "nowhere"
            raise DataError(
                f"{place.as_posix()} in the input folder '{folder.name}' is a link that leads {where}; "
                "put files there"
            )
    return found


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


def read_json(path: Path) -> Any:
    """Return what a JSON file holds.

    Raises
    ------
    ValueError
        It isn't JSON, which knows neither NaN nor an endless number, or no program would nest it so.
    """

    def finite(text: str) -> float:
        number = float(text)
        if not math.isfinite(number):
            raise ValueError(f"{text[:20]} is no number of JSON")
        return number

    text = path.read_text(encoding="utf-8")
    try:
        # a function of ours for each number of a large file takes as long as all the rest
        return json.loads(text, parse_float=finite if _may_be_huge(text) else None, parse_constant=finite)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _may_be_huge(text: str) -> bool:
    """Return whether a number may be too large for one: it has an exponent of three digits, or two hundred digits."""
    if _EXPONENT.search(text):
        return True
    # a stretch of two hundred digits fills one of these, wherever it begins
    return any(text[start : start + 100].isdigit() for start in range(0, len(text), 100))


def main_exit(main: Callable[[Sequence[str] | None], int]) -> None:
    """Run a step's ``main`` on the command line's arguments and leave with its code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a locale without UTF-8 must not end a step
    raise SystemExit(main(None))
