"""``make wheels``: get what the models' wheels.txt pin, once, from whatever index pip is configured with.

    python -m pipeline_code.wheel_download [--model folder] [--locked]

pip checks the hashes, and so do we. Files go to the cache, `pipeline_code.wheels.cache_folder`, by their digest: those
for the container, and where this machine's Python needs another file of the same wheel, that one too, for the
embedded cloud. What is there already isn't asked for again.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pipeline_code.definitions import definitions_root, sha256
from pipeline_code.steps.wheel_pins import (
    CONTAINER,
    PINS,
    Interpreter,
    Pin,
    PinError,
    key_of,
    normal_name,
    this_interpreter,
)
from pipeline_code.wheels import WheelsError, cache_folder, cached, listed, pins_of, read_list, write_list

_NOT_FOUND = re.compile(r"No matching distribution found for ([^\s=]+)==(\S+)")


def container_options(python: Interpreter, platforms: Sequence[str] = ()) -> list[str]:
    """Return what makes pip choose files for the container, wherever it runs.

    Parameters
    ----------
    platforms
        Tags of the platforms that files may be for. Default: all that the container takes, the newest first: pip
        takes the best that it is offered, and each machine's pip takes the same.
    """
    manylinux = [f"manylinux_2_{minor}" for minor in range(python.glibc, 4, -1)]
    all_of_them = [*manylinux, "manylinux2014", "manylinux2010", "manylinux1", "linux"]
    return [
        "--implementation=cp",
        f"--python-version=3.{python.minor}",
        f"--abi=cp3{python.minor}",
        *[f"--platform={tag}" for tag in platforms or [f"{one}_{python.machine}" for one in all_of_them]],
    ]


def get(home: Path, *, locked: bool = False) -> list[str]:
    """Get a model's wheels into the cache and write its wheels.sha256; return what was done, in lines.

    Parameters
    ----------
    home
        Folder of the model.
    locked
        Get what wheels.sha256 names, and refuse where it isn't what wheels.txt gives. Default: make it so.

    Raises
    ------
    WheelsError
        wheels.txt can't be used, or pip can't get a wheel that it pins. One line.
    """
    pins = pins_of(home)
    chosen = listed(home) if locked else _still_good(home, pins)
    missing = [pin for pin in pins if pin not in chosen or cached(*chosen[pin], pin) is None]
    for platforms, wanted in _grouped(missing, chosen).items():
        for path in _download(wanted, home, CONTAINER, container_options(CONTAINER, platforms)):
            pin = _pin_of(path, missing)
            chosen[pin] = (path.name, _keep(path, wanted[pin]))
    files = {chosen[pin][0]: chosen[pin][1] for pin in pins}
    if files != read_list(home) and not locked:
        write_list(home, files)
    lines = [
        f"{home.name}: {len(pins)} wheel{'' if len(pins) == 1 else 's'} for the container, {len(missing)} of them new"
    ]
    return [*lines, *_get_for_this_machine(home, chosen, this_interpreter())]


def _grouped(
    missing: Sequence[Pin], chosen: Mapping[Pin, tuple[str, str]]
) -> dict[tuple[str, ...], dict[Pin, tuple[str, ...]]]:
    """Return the hashes to ask pip for, by the platforms to ask for.

    Where a file was chosen before, that one and no other: its digest, and its own platforms, because pip can't
    tell by the digest which file to take from an index that shows none.
    """
    groups: dict[tuple[str, ...], dict[Pin, tuple[str, ...]]] = {}
    for pin in missing:
        platforms: tuple[str, ...] = ()
        hashes = pin.hashes
        if pin in chosen:
            file, digest = chosen[pin]
            platforms, hashes = tuple(file.removesuffix(".whl").split("-")[-1].split(".")), (digest,)
        groups.setdefault(platforms, {})[pin] = hashes
    return groups


def _still_good(home: Path, pins: Sequence[Pin]) -> dict[Pin, tuple[str, str]]:
    """Return what wheels.sha256 has of the pins, so that one new package doesn't change the others."""
    found: dict[Pin, tuple[str, str]] = {}
    for file, digest in read_list(home).items():
        for pin in pins:
            if digest in pin.hashes and CONTAINER.takes(file) and key_of(file) == pin.key:
                found[pin] = (file, digest)
    return found


def _get_for_this_machine(home: Path, chosen: dict[Pin, tuple[str, str]], here: Interpreter) -> list[str]:
    lines = []
    for pin, (file, _) in chosen.items():
        if here.takes(file) or _own(pin, here):
            continue
        try:
            for path in _download({pin: pin.hashes}, home, here, []):
                _keep(path, pin.hashes)
        except WheelsError:  # the container has its own: that is no reason to fail
            lines.append(
                f"{home.name}: {pin.name}=={pin.version} can't be had for {here}: steps that need it don't run on the"
                " embedded cloud here"
            )
    return lines


def _own(pin: Pin, here: Interpreter) -> bool:
    there = (path for digest in pin.hashes for path in (cache_folder() / digest).glob("*.whl"))
    return any(here.takes(path.name) for path in there)


def _pin_of(path: Path, pins: Iterable[Pin]) -> Pin:
    try:
        key = key_of(path.name)
    except PinError as error:
        raise WheelsError(f"pip brought {error}") from None
    for pin in pins:
        if pin.key == key:
            return pin
    raise WheelsError(f"pip brought {path.name}, which {PINS} doesn't pin")


def _keep(path: Path, hashes: Sequence[str]) -> str:
    """Put a file that pip brought into the cache; return its digest."""
    content = path.read_bytes()
    digest = sha256(content)
    if digest not in hashes:
        raise WheelsError(f"pip brought {path.name} with sha256 {digest}, which {PINS} doesn't pin")
    target = cache_folder() / digest / path.name
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    part.write_bytes(content)
    part.replace(target)
    return digest


def _download(
    wanted: dict[Pin, tuple[str, ...]], home: Path, python: Interpreter, options: Sequence[str]
) -> Iterable[Path]:
    if not wanted:
        return
    with tempfile.TemporaryDirectory(prefix="wheels-") as folder:
        pins = Path(folder, PINS)
        lines = (" ".join([f"{pin.name}=={pin.version}", *[f"--hash=sha256:{one}" for one in hashes]])
                 for pin, hashes in wanted.items())  # fmt: skip
        pins.write_text("\n".join(lines) + "\n", encoding="utf-8")
        target = Path(folder, "got")
        command = [sys.executable, "-m", "pip", "download", "--no-input", "--progress-bar=off",
                   "--disable-pip-version-check", "--require-hashes", "--no-deps", "--only-binary=:all:", *options,
                   "--dest", str(target), "--requirement", str(pins)]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise _error(done.stderr, f"{home.name}/{PINS}", list(wanted), python)
        yield from sorted(target.glob("*"))


def _error(said: str, place: str, pins: Sequence[Pin], python: Interpreter) -> WheelsError:
    """Return in one line what pip says in many."""
    errors = [line.removeprefix("ERROR:").strip() for line in said.splitlines() if line.startswith("ERROR:")]
    refused = re.search(r"^\s+(\S+?)==\S+ from .*\n\s+Expected sha256", said, re.MULTILINE)
    if "DO NOT MATCH THE HASHES" in said:
        name = refused[1] if refused else "a package"
        return WheelsError(
            f"{place}: what the index has of {_with_line(name, pins)} has none of its hashes: it was changed there, or"
            " compile the file again"
        )
    for line in errors:
        found = _NOT_FOUND.search(line)
        if found:
            return WheelsError(
                f"{place}: pip's index has no wheel of {_with_line(found[1], pins)} for {python}; choose a version that"
                " has one"
            )
    reason = errors[-1] if errors else (said.strip().splitlines() or ["no reason"])[-1]
    return WheelsError(f"{place}: pip says: {' '.join(reason.split())[:300]}")


def _with_line(name: str, pins: Sequence[Pin]) -> str:
    of_name = [pin for pin in pins if pin.key[0] == normal_name(name)]
    return f"{of_name[0].name}=={of_name[0].version} (line {of_name[0].line})" if of_name else name


def main(arguments: list[str] | None = None) -> int:
    """Get the wheels of all models, or of one; return 1 with one line if that can't be done."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline_code.wheel_download", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--model", default=os.environ.get("MODEL") or None, help="folder; all by default")
    parser.add_argument("--root", type=Path, help="another folder of models than pipeline_code")
    parser.add_argument("--locked", action="store_true", help="get what wheels.sha256 names, change nothing")
    given = parser.parse_args(arguments)
    root = definitions_root().parent if given.root is None else given.root
    homes = sorted(path.parent for path in root.glob(f"*/{PINS}"))
    if given.model:
        homes = [home for home in homes if home.name == given.model]
        if not (root / given.model / "model.yaml").is_file():
            print(
                f"wheels: MODEL={given.model}: there is no {root / given.model / 'model.yaml'}",
                file=sys.stderr,
            )
            return 1
    try:
        for home in homes:
            for line in get(home, locked=given.locked):
                print(line)
    except WheelsError as error:
        print(f"wheels: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"wheels: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    if not homes:
        print(f"no {PINS} in {root / (given.model or '*')}: the steps need no packages of their own")
    return 0


if __name__ == "__main__":
    sys.exit(main())
