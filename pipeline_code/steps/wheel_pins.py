"""What wheels.txt pins, and which wheels a Python can take: for synth, for `make wheels` and for the job."""

from __future__ import annotations

import os
import platform
import re
import sys
from dataclasses import dataclass
from itertools import product

from .program import one_line

PINS = "wheels.txt"
# What the container's programs and the built-in steps compute with stays the container's: another version beside it
# would break its neighbours' binaries, or change what the monitor finds.
OF_THE_CONTAINER = {
    "numpy": "2.1.0",
    "pandas": "2.2.3",
    "pyarrow": "22.0.0",
    "scikit-learn": "1.8.0",
    "scipy": "",
    "xgboost": "3.2.0",
    "xgboost-cpu": "3.2.0",
}
HOW = (
    "write it with: .venv/bin/uv pip compile --generate-hashes --python-version 3.12 --python-platform"
    " x86_64-manylinux_2_28 --no-emit-package numpy packages.in -o pipeline_code/<folder>/wheels.txt"
)

_REQUIREMENT = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?:\[[^\]]*\])?\s*(.*)")
_VERSION = re.compile(r"==\s*([A-Za-z0-9][A-Za-z0-9._+!-]*)")
_HASH = re.compile(r"hash=sha256:([0-9a-f]{64})")
_FILE = re.compile(
    r"(?P<name>\w[\w.]*)-(?P<version>\w[\w.+!]*)(?:-\d\w*)?-(?P<python>[\w.]+)-(?P<abi>[\w.]+)-(?P<platform>[\w.]+)\.whl"
)
_MANYLINUX = {"manylinux1": "2_5", "manylinux2010": "2_12", "manylinux2014": "2_17"}


class PinError(ValueError):
    """A line of wheels.txt or a wheel that can't be used; the message is one line."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


@dataclass(frozen=True)
class Pin:
    """One requirement of wheels.txt.

    Attributes
    ----------
    name, version
        As written there.
    hashes
        Digests (sha256, hexadecimal) of the files that may be used.
    line
        Number of its line, from 1.
    """

    name: str
    version: str
    hashes: tuple[str, ...]
    line: int

    @property
    def key(self) -> tuple[str, str]:
        """Name and version as they can be compared."""
        return normal_name(self.name), normal_version(self.version)


@dataclass(frozen=True)
class Interpreter:
    """A Python that wheels are for.

    Attributes
    ----------
    minor
        12 of Python 3.12.
    system
        ``linux``, ``macosx`` or ``win``.
    machine
        Such as ``x86_64``.
    glibc
        Minor version of glibc 2; 0 where there is none.
    """

    minor: int
    system: str
    machine: str
    glibc: int = 0

    def __str__(self) -> str:
        """Return it in words."""
        return f"Python 3.{self.minor} on {self.system} {self.machine}"

    def takes(self, file: str) -> bool:
        """Return whether a wheel, named by its file, works here."""
        found = _FILE.fullmatch(file)
        return found is not None and any(
            self._takes_python(python, abi) and self._takes_platform(target)
            for python, abi, target in product(
                *(found[part].split(".") for part in ("python", "abi", "platform"))
            )
        )

    def _takes_python(self, python: str, abi: str) -> bool:
        made_for = re.fullmatch(r"(py|cp)3(\d*)", python)
        if made_for is None:
            return False
        minor = int(made_for[2] or 0)
        if abi == "none":
            return minor <= self.minor if made_for[1] == "py" else minor == self.minor
        if abi == "abi3":
            return made_for[1] == "cp" and minor <= self.minor
        return abi == python == f"cp3{self.minor}"

    def _takes_platform(self, target: str) -> bool:
        if target == "any":
            return True
        system, _, rest = target.partition("_")
        if system in _MANYLINUX:
            system, rest = "manylinux", f"{_MANYLINUX[system]}_{rest}"
        if system == "manylinux":
            made_for = re.fullmatch(r"2_(\d+)_(\w+)", rest)
            return (
                self.system == "linux"
                and made_for is not None
                and int(made_for[1]) <= self.glibc
                and made_for[2] == self.machine
            )
        if system == "macosx":
            return (
                self.system == "macosx"
                and re.fullmatch(rf"\d+_\d+_({self.machine}|universal2)", rest) is not None
            )
        return target in (f"linux_{self.machine}", f"win_{self.machine}") and system == self.system


# SageMaker's XGBoost container 3.2-0. Its own xgboost is built for glibc 2.28, so it has no older one.
CONTAINER = Interpreter(minor=12, system="linux", machine="x86_64", glibc=28)


def this_interpreter() -> Interpreter:
    """Return the Python that runs this."""
    systems = {"linux": "linux", "darwin": "macosx", "win32": "win"}
    libc = ""
    if sys.platform == "linux":
        libc = os.confstr("CS_GNU_LIBC_VERSION") or ""
    glibc = re.fullmatch(r"glibc 2\.(\d+).*", libc)
    return Interpreter(
        minor=sys.version_info.minor,
        system=systems.get(sys.platform, sys.platform),
        machine=platform.machine().lower(),
        glibc=int(glibc[1]) if glibc else 0,
    )


def read_pins(text: str, file: str) -> tuple[Pin, ...]:
    """Return what wheels.txt pins, in its order.

    Parameters
    ----------
    text
        Its content.
    file
        Its name, for messages.

    Raises
    ------
    PinError
        A line isn't a package with its version and sha256 hashes, the package is the container's, or is there twice.
    """
    pins: list[Pin] = []
    for number, line in _lines(text):
        pin = _read_pin(line, f"{file}: line {number}", number)
        for other in pins:
            if normal_name(other.name) == normal_name(pin.name):
                raise PinError(f"{file}: line {number}: {pin.name} is pinned in line {other.line} already")
        pins.append(pin)
    if not pins:
        raise PinError(f"{file}: pins no package; remove the file or {HOW}")
    return tuple(pins)


def _lines(text: str) -> list[tuple[int, str]]:
    """Return the requirements, each in one line, with the number of the line where it begins."""
    found: list[tuple[int, str]] = []
    going_on = False
    for number, raw in enumerate(text.splitlines(), start=1):
        line = re.sub(r"(^|\s)#.*", "", raw).strip()
        part = line.removesuffix("\\").strip()
        if going_on and part:
            first, before = found.pop()
            found.append((first, f"{before} {part}"))
        elif part:
            found.append((number, part))
        going_on = line.endswith("\\") and (bool(part) or going_on)
    return found


def _read_pin(line: str, place: str, number: int) -> Pin:
    quoted = f"'{line[:60]}{'...' if len(line) > 60 else ''}'"
    if line.startswith("-"):
        raise PinError(
            f"{place}: {quoted} is an option, only packages may be here; tell pip of an index by its configuration"
        )
    requirement, *options = line.split(" --")
    found = _REQUIREMENT.fullmatch(requirement.strip())
    if found is None:
        raise PinError(f"{place}: {quoted} is not a package; {HOW}")
    name, rest = found[1], found[2]
    if ";" in rest:
        raise PinError(f"{place}: {name} has a condition after ';', which can't be used; {HOW}")
    version = _VERSION.fullmatch(rest)
    if version is None:
        raise PinError(f"{place}: {name} is not pinned as {name}==<version>, got {quoted}; {HOW}")
    held = OF_THE_CONTAINER.get(normal_name(name))
    if held is not None:
        has = f"{name} {held}".strip()
        raise PinError(
            f"{place}: the container has {has} and keeps it; remove the line (uv: --no-emit-package {name})"
        )
    if not options:
        raise PinError(f"{place}: {name}=={version[1]} has no --hash=sha256:...; {HOW}")
    digests = []
    for option in options:
        digest = _HASH.fullmatch(option.strip())
        if digest is None:
            raise PinError(
                f"{place}: {name}=={version[1]} has '--{option[:80]}', which is not --hash=sha256: and 64 digits"
            )
        digests.append(digest[1])
    return Pin(name, version[1], tuple(digests), number)


def normal_name(name: str) -> str:
    """Return a package's name as names are compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


def normal_version(version: str) -> str:
    """Return a version as versions are compared: a zero at its end, case and separators of a label don't count."""
    text = version.lower().replace("-", ".").replace("_", ".").removeprefix("v")
    return re.sub(r"(\.0)+(?=$|[^.\d])", "", text)


def key_of(file: str) -> tuple[str, str]:
    """Return name and version that a wheel's file names.

    Raises
    ------
    PinError
        It isn't the name of a wheel.
    """
    found = _FILE.fullmatch(file)
    if found is None:
        raise PinError(f"'{file}' is not named as wheels are, name-version-python-abi-platform.whl")
    return normal_name(found["name"]), normal_version(found["version"])
