"""Packages for a model's steps: what its wheels.txt pins, and the files of it that go with the code.

``wheels.txt`` in the folder of a model pins packages with hashes. `make wheels` (`pipeline_code.wheel_download`) gets
the files into a cache, and writes ``wheels.sha256`` beside it: the files for the container, with their digests. Both
are committed, so that the code is the same bytes wherever it is made. Here both are read; nothing needs a network.
"""

import os
from pathlib import Path

from pipeline_code.steps.program import UsageError
from pipeline_code.steps.wheel_pins import CONTAINER, PINS, Pin, PinError, key_of, read_pins
from pipeline_code.steps.wheelhouse import check_digest

LIST = "wheels.sha256"
CACHE = Path(__file__).resolve().parent.parent / "build" / "wheels"
FIX = "run: make wheels"
# The deployment unpacks the code in a function: handlers/sagemaker_pipeline/code_archive.py takes 100 MB in all,
# the steps with them, and 50 MB a file.
MOST_BYTES_A_FILE = 50 * 1024**2
MOST_BYTES = 95 * 1024**2


class WheelsError(ValueError):
    """A wheelhouse can't be used; the message is one line that says what to do."""


def cache_folder() -> Path:
    """Return where wheels are kept, by their digest: build/wheels, or what ``MLOPS_WHEELS`` names."""
    return Path(os.environ.get("MLOPS_WHEELS") or CACHE)


def pins_of(home: Path) -> tuple[Pin, ...]:
    """Return what a model's wheels.txt pins; nothing where it has none.

    Parameters
    ----------
    home
        Folder of the model.

    Raises
    ------
    WheelsError
        A line can't be used.
    """
    path = home / PINS
    if not path.is_file():
        return ()
    try:
        return read_pins(path.read_text(encoding="utf-8"), f"{home.name}/{PINS}")
    except PinError as error:
        raise WheelsError(str(error)) from None
    except UnicodeDecodeError:
        raise WheelsError(f"{home.name}/{PINS}: is not a text in UTF-8") from None


def read_list(home: Path) -> dict[str, str]:
    """Return wheels.sha256 of a model: name of a file -> its digest; nothing where there is none."""
    path = home / LIST
    if not path.is_file():
        return {}
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return {file: digest for digest, _, file in (line.partition("  ") for line in lines)}


def write_list(home: Path, files: dict[str, str]) -> None:
    """Write wheels.sha256 of a model, as ``sha256sum --check`` reads it."""
    (home / LIST).write_text(
        "".join(f"{digest}  {file}\n" for file, digest in files.items()), encoding="utf-8"
    )


def listed(home: Path) -> dict[Pin, tuple[str, str]]:
    """Return the container's file and its digest of each pin, as wheels.sha256 has them.

    Raises
    ------
    WheelsError
        The list isn't what wheels.txt gives.
    """
    pins = pins_of(home)
    found = _by_key(home)
    for pin in pins:
        if pin.key not in found:
            raise WheelsError(
                f"{home.name}/{LIST}: has no wheel of {pin.name}=={pin.version}, which {PINS} pins; {FIX}"
            )
        file, digest = found[pin.key]
        if digest not in pin.hashes or not CONTAINER.takes(file):
            raise WheelsError(f"{home.name}/{LIST}: {file} is not what {PINS} pins for {CONTAINER}; {FIX}")
    for key, (file, _) in found.items():
        if key not in [pin.key for pin in pins]:
            raise WheelsError(f"{home.name}/{LIST}: {file} is not in {PINS}; {FIX}")
    return {pin: found[pin.key] for pin in pins}


def _by_key(home: Path) -> dict[tuple[str, str], tuple[str, str]]:
    try:
        return {key_of(file): (file, digest) for file, digest in read_list(home).items()}
    except PinError as error:
        raise WheelsError(f"{home.name}/{LIST}: {error}; {FIX}") from None


def wheel_files(home: Path) -> dict[str, bytes]:
    """Return what a model's jobs find under ``wheels``: path in the code -> content; nothing without a wheels.txt.

    Parameters
    ----------
    home
        Folder of the model.

    Raises
    ------
    WheelsError
        wheels.txt or its list can't be used, a wheel isn't in the cache or was changed there, or they are too large.
    """
    pins = listed(home)
    if not pins:
        return {}
    files = {f"wheels/{PINS}": (home / PINS).read_bytes()}
    for pin, (file, digest) in pins.items():
        path = cached(file, digest, pin)
        if path is None:
            raise WheelsError(f"{home.name}/{PINS}: the wheel {file} is not in {cache_folder()}; {FIX}")
        files[f"wheels/{file}"] = path.read_bytes()
    _check_size(home, files)
    return files


def cached(file: str, digest: str, pin: Pin) -> Path | None:
    """Return a wheel of the cache, or None where it isn't there.

    Raises
    ------
    WheelsError
        It was changed there.
    """
    path = cache_folder() / digest / file
    if not path.is_file():
        return None
    try:
        found = check_digest(path, pin)
    except UsageError:
        found = ""
    if found != digest:
        raise WheelsError(f"{path}: was changed: it doesn't have that sha256; remove it and {FIX}")
    return path


def _check_size(home: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        if len(content) > MOST_BYTES_A_FILE:
            raise WheelsError(
                f"{home.name}/{PINS}: {name.removeprefix('wheels/')} has {_megabytes(len(content))} MB; one wheel may"
                f" have {_megabytes(MOST_BYTES_A_FILE)} MB, which the deployment can unpack"
            )
    total = sum(map(len, files.values()))
    if total > MOST_BYTES:
        raise WheelsError(
            f"{home.name}/{PINS}: its wheels have {_megabytes(total)} MB; all of them together may have"
            f" {_megabytes(MOST_BYTES)} MB, which the deployment can unpack"
        )


def _megabytes(size: int) -> str:
    return f"{size / 1024**2:.1f}"
