"""Packages that came with the code: a job has no internet, so it can't install any.

A model's ``wheels.txt`` and the wheels that it pins lie in the folder ``wheels`` beside ``steps``. `steps` calls
`add` before any step begins, so ``import <package>`` works in all of them.

They come before the container's packages and after the standard library and the code: what is imported is the
version that was pinned, on AWS and on a laptop that has another one. What the container computes with can't be
pinned (`steps.wheel_pins.OF_THE_CONTAINER`), so the container's own programs aren't changed by it.
"""

from __future__ import annotations

import atexit
import hashlib
import lzma
import os
import shutil
import stat
import struct
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from .program import BAD_USAGE, UsageError, fail
from .wheel_pins import PINS, Interpreter, Pin, PinError, key_of, read_pins, this_interpreter

# Where an embedded cloud keeps this machine's own files of wheels that are made for the container only.
MORE_WHEELS = "STEPS_WHEELS"
MOST_BYTES = 1024**3
_CHUNK = 1024**2
# What zipfile raises of an archive that is damaged, encrypted or packed in a way that it doesn't know.
_DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError),
    *(OSError, ValueError, RuntimeError, IndexError),
)


def add(folder: Path) -> None:
    """Make the packages of a wheelhouse importable; leave with exit code 2 and one line where that can't be done.

    Parameters
    ----------
    folder
        Holds ``wheels.txt`` and the wheels.
    """
    try:
        wheels = chosen(folder, this_interpreter(), os.environ.get(MORE_WHEELS))
        unpacked = Path(tempfile.mkdtemp(prefix="wheels-"))
        atexit.register(shutil.rmtree, unpacked, ignore_errors=True)
        for wheel in wheels:
            unpack(wheel, unpacked)
    except (UsageError, PinError) as error:
        raise SystemExit(fail(str(error), BAD_USAGE)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SystemExit(fail(f"{folder.name}: can't be used: {error}", BAD_USAGE)) from None
    sys.path.insert(place_of_packages(sys.path), str(unpacked))


def place_of_packages(path: list[str]) -> int:
    """Return where on Python's path installed packages begin."""
    installed = (
        at for at, entry in enumerate(path) if Path(entry).name in ("site-packages", "dist-packages")
    )
    return next(installed, len(path))


def chosen(folder: Path, here: Interpreter, more: str | None = None) -> list[Path]:
    """Return one wheel for each pin, its digest checked.

    Parameters
    ----------
    folder
        Holds ``wheels.txt`` and the wheels.
    here
        The Python that is to import them.
    more
        Folder of further files of the same wheels. Default: none.

    Raises
    ------
    UsageError
        A wheel is missing, isn't pinned, has another digest, or isn't for this Python or platform.
    PinError
        wheels.txt or the name of a wheel can't be used.
    """
    pins = read_pins((folder / PINS).read_text(encoding="utf-8"), f"{folder.name}/{PINS}")
    shipped: dict[tuple[str, str], Path] = {}
    for path in sorted(folder.glob("*.whl")):
        shipped[key_of(path.name)] = path
        if key_of(path.name) not in [pin.key for pin in pins]:
            raise UsageError(f"{folder.name}/{path.name}: is not in {PINS}, so it isn't used")
    return [_wheel_of(pin, shipped.get(pin.key), folder, here, more) for pin in pins]


def _wheel_of(pin: Pin, wheel: Path | None, folder: Path, here: Interpreter, more: str | None) -> Path:
    if wheel is None:
        raise UsageError(f"{folder.name}: holds no wheel of {pin.name}=={pin.version}, which {PINS} pins")
    check_digest(wheel, pin)
    if here.takes(wheel.name):
        return wheel
    for path in sorted(Path(more).glob("*/*.whl")) if more else []:
        if path.parent.name in pin.hashes and here.takes(path.name):
            check_digest(path, pin)
            return path
    fix = "run: make wheels" if more else f"{PINS} must be made for it"
    raise UsageError(f"{folder.name}/{wheel.name}: is not for {here}; {fix}")


def check_digest(wheel: Path, pin: Pin) -> str:
    """Return the digest of a wheel that is pinned.

    Raises
    ------
    UsageError
        It isn't among the pin's.
    """
    digest = hashlib.sha256()
    with wheel.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    if digest.hexdigest() not in pin.hashes:
        raise UsageError(
            f"{wheel.parent.name}/{wheel.name}: has sha256 {digest.hexdigest()}, which {PINS} doesn't pin for"
            f" {pin.name}=={pin.version}: the file was changed"
        )
    return digest.hexdigest()


def unpack(wheel: Path, target: Path) -> None:
    """Unpack a wheel's packages into a folder, as pip would put them beside each other.

    Scripts, headers and files for elsewhere (``<name>.data/scripts`` and such) are left out.

    Raises
    ------
    UsageError
        It is no zip file or damaged, an entry leads out of the folder or is a link, or it is too large.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            entries = [info for info in archive.infolist() if not info.is_dir()]
            if sum(info.file_size for info in entries) > MOST_BYTES:
                raise UsageError(f"{wheel.name}: unpacks to more than {MOST_BYTES // 1024**2} MB")
            for info in entries:
                place = _place_of(info, wheel.name)
                if place is not None:
                    path = target.joinpath(*place.parts)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    with archive.open(info) as source, path.open("wb") as copy:
                        shutil.copyfileobj(source, copy, _CHUNK)
    except _DAMAGED as error:
        raise UsageError(f"{wheel.name}: can't be unpacked: {type(error).__name__}: {error}") from error


def _place_of(info: zipfile.ZipInfo, wheel: str) -> PurePosixPath | None:
    name = info.orig_filename
    odd = name.startswith("/") or "\\" in name or ":" in name or not name.isprintable()
    if odd or any(part in ("", ".", "..") for part in name.split("/")):
        raise UsageError(f"{wheel}: its entry {name!r} is refused: it must be a plain relative path")
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
        raise UsageError(
            f"{wheel}: its entry {name!r} is refused: it is a link or a device, not a plain file"
        )
    first, *rest = PurePosixPath(name).parts
    if not first.endswith(".data") or not rest:
        return PurePosixPath(name)
    return PurePosixPath(*rest[1:]) if rest[0] in ("purelib", "platlib") and len(rest) > 1 else None
