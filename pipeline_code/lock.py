"""The lock of the compiled definitions: digests of what they were made from and of what was made.

A definition that is older than its sources, or that someone edited by hand, is found before it is deployed:

    python -m pipeline_code.lock --check
"""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from pipeline_code.definitions import HERE, IMAGES, definitions_root, folders, sha256
from pipeline_code.wheels import WheelsError, listed

LOCK = "lock.json"
# The code that a definition is made by; model.yaml of its folder comes on top.
SOURCES = (
    "compile.py",
    "frame.py",
    "hyperparameters.py",
    "inference_pipeline.py",
    "jobs.py",
    "mapping.py",
    "model_config.py",
    "quality_pipeline.py",
    "requirements-authoring.txt",
    "sdk.py",
    "steps/model.py",
    "train_pipeline.py",
    "variants.py",
)
FIX = "run: make definitions"


class StaleDefinition(ValueError):  # noqa: N818 - it names a state of the files, which is what the user has to mend
    """A compiled definition is not what its sources give; the message is one line that says what to do."""


def sources(folder: str, root: Path | None = None) -> dict[str, Path]:
    """Return the files that a model's definitions are made from, by the name that the lock gives them."""
    found = {name: HERE / name for name in SOURCES}
    found["model.yaml"] = definitions_root(root).parent / folder / "model.yaml"
    return found


def bodies(folder: str, root: Path | None = None) -> dict[str, Path]:
    """Return a model's compiled files, by the name that the lock gives them."""
    home = definitions_root(root) / folder
    found = {
        path.relative_to(home).as_posix(): path for path in sorted(home.rglob("*.json")) if path.name != LOCK
    }
    found[IMAGES] = definitions_root(root) / IMAGES
    return found


def render(source_files: Mapping[str, bytes], body_files: Mapping[str, bytes]) -> bytes:
    """Return the lock of some sources and bodies."""
    lock = {
        "bodies": {name: sha256(content) for name, content in body_files.items()},
        "sources": {name: sha256(content) for name, content in source_files.items()},
    }
    return as_json(lock)


def as_json(value: object) -> bytes:
    """Return a value as the compiled files are written: sorted keys, indented by one, a newline at the end."""
    return (json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False) + "\n").encode()


def verify(folder: str, root: Path | None = None) -> None:
    """Make sure that a model's definitions are what its sources give.

    Parameters
    ----------
    folder
        Folder of the model, such as ``mammography``.
    root
        Folder of compiled definitions, see `pipeline_code.definitions.definitions_root`.

    Raises
    ------
    StaleDefinition
        If a source has changed, a definition was edited, or a file is missing or too many; or wheels.sha256 isn't what
        wheels.txt gives. One line.
    """
    path = definitions_root(root) / folder / LOCK
    if not path.is_file():
        raise StaleDefinition(f"{path}: is missing, so '{folder}' was never compiled; {FIX}")
    try:
        lock = json.loads(path.read_text(encoding="utf-8"))
        locked = {kind: dict(lock[kind]) for kind in ("sources", "bodies")}
    except (ValueError, KeyError, TypeError, RecursionError):
        raise StaleDefinition(f"{path}: is not a lock file; {FIX}") from None
    _compare(sources(folder, root), locked["sources"], "has changed since it was compiled")
    _compare(bodies(folder, root), locked["bodies"], "is not what was compiled; don't edit it by hand")
    try:  # wheels go with the code, and no definition is made from them: their list is their lock
        listed(definitions_root(root).parent / folder)
    except WheelsError as error:
        raise StaleDefinition(str(error)) from None


def _compare(files: Mapping[str, Path], locked: Mapping[str, str], changed: str) -> None:
    for name, path in files.items():
        if name not in locked:
            raise StaleDefinition(f"{path}: is not in the lock; {FIX}")
        if not path.is_file():
            raise StaleDefinition(f"{path}: is missing; {FIX}")
        if sha256(path.read_bytes()) != locked[name]:
            raise StaleDefinition(f"{path}: {changed}; {FIX}")
    for name in locked:
        if name not in files:
            raise StaleDefinition(f"{name}: was compiled but is missing; {FIX}")


def main(arguments: list[str] | None = None) -> int:
    """Check all compiled models; return 1, with a line, if one is stale."""
    parser = argparse.ArgumentParser(prog="python -m pipeline_code.lock", description=__doc__.split("\n")[0])
    parser.add_argument(
        "--check", action="store_true", help="the one thing it does; `make definitions` writes"
    )
    parser.add_argument("--root", type=Path, help="another folder of models than pipeline_code")
    given = parser.parse_args(arguments)
    root = None if given.root is None else given.root / "definitions"
    models = definitions_root(root).parent.glob("*/model.yaml")
    named = sorted({path.parent.name for path in models} | set(folders(root)))
    if not named:
        print(f"{definitions_root(root).parent}: holds no folder with a model.yaml", file=sys.stderr)
        return 1
    for folder in named:
        try:
            verify(folder, root)
        except StaleDefinition as error:
            print(error, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
