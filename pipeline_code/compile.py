"""Compile the pipelines to JSON that is the same for every account, region and day (``make definitions``).

    python -m pipeline_code.compile [--check] [--root FOLDER]

Runs in the authoring environment, because only it has the SageMaker SDK.
"""

import argparse
import importlib
import importlib.util
import json
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline_code import lock
from pipeline_code.definitions import HERE, IMAGES, KINDS, not_for_model_monitor
from pipeline_code.model_config import ModelConfig, load_model
from pipeline_code.validate import errors
from pipeline_code.variants import VARIANTS

XGBOOST_VERSION = "3.2-0"
# No telemetry, and none of the defaults that a user may have set for the SDK.
SDK_CONFIG = {"SchemaVersion": "1.0", "SageMaker": {"PythonSDK": {"Modules": {"TelemetryOptOut": True}}}}


class CompileError(Exception):
    """The pipelines can't be compiled; the message is what to tell the user, a line each."""


@contextmanager
def quiet_sdk() -> Iterator[None]:
    """Let the SDK neither talk, nor read anyone's configuration, nor look for credentials."""
    if importlib.util.find_spec("sagemaker") is None:
        raise CompileError("the SageMaker SDK is not in this environment; run: make definitions")
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.yaml"
        config.write_text(json.dumps(SDK_CONFIG))
        os.environ.update(
            AWS_DEFAULT_REGION="us-east-1",  # the SDK can't be imported without a region
            AWS_EC2_METADATA_DISABLED="true",
            AWS_CONFIG_FILE=os.devnull,
            AWS_SHARED_CREDENTIALS_FILE=os.devnull,
            SAGEMAKER_ADMIN_CONFIG_OVERRIDE=str(config),
            SAGEMAKER_USER_CONFIG_OVERRIDE=str(config),
        )
        for name in ("AWS_PROFILE", "AWS_REGION"):
            os.environ.pop(name, None)
        warnings.simplefilter("ignore")
        logging.disable(logging.ERROR)
        jsonschema: Any = importlib.import_module("jsonschema")
        # The SDK checks its configuration, and the schema for it, anew for every value it looks up: nine tenths of the
        # time. The configuration is the one above.
        jsonschema.validate = lambda *_, **__: None
        yield


def image_table() -> dict[str, Any]:
    """Return the container images of every region that the SDK knows, in all partitions."""
    from sagemaker.core import image_uris

    def uris(framework: str, version: str | None) -> dict[str, str]:
        config = image_uris.config_for_framework(framework)
        scope = config.get("training", config)
        regions = scope["versions"][version or ""]["registries"]
        return {
            region: str(image_uris.retrieve(framework, region, version=version)) for region in sorted(regions)
        }

    return {
        "xgboost": {"version": XGBOOST_VERSION, "images": uris("xgboost", XGBOOST_VERSION)},
        "model-monitor": {"images": uris("model-monitor", None)},
    }


def definition(kind: str, folder: Path, variant: str) -> bytes:
    """Return one compiled definition.

    Parameters
    ----------
    kind
        One of `pipeline_code.definitions.KINDS`.
    folder
        Folder of the model.
    variant
        One of `pipeline_code.variants.VARIANTS`.

    Raises
    ------
    CompileError
        If SageMaker would refuse it.
    """
    module = importlib.import_module(f"pipeline_code.{kind}_pipeline")
    body = json.loads(module.get_pipeline(folder=str(folder), variant=variant).definition())
    # What the SDK writes for "not set".
    body = {name: value for name, value in body.items() if value not in (None, {})}
    text = lock.as_json(body)
    found = errors(text.decode())
    if found:
        name = f"{folder.name}/{variant}/{kind}.json"
        raise CompileError("\n".join(f"{name}: {error}" for error in found))
    return text


def variants_of(model: ModelConfig) -> list[str]:
    """Return the variants that a model can have.

    Model Monitor reads a batch as it is, on one instance, and would check the column that identifies a row like a
    feature.
    """
    barred = not_for_model_monitor(model.id_column, model.monitor.instances)
    return [name for name, variant in VARIANTS.items() if not (variant.model_monitor and barred)]


def compile_model(folder: Path, images: bytes) -> dict[str, bytes]:
    """Return everything that is compiled of a model, by path in its folder of definitions."""
    model = load_model(folder)
    files = {"model.json": lock.as_json(model.as_json())}
    for variant in variants_of(model):
        for kind in KINDS:
            files[f"{variant}/{kind}.json"] = definition(kind, folder, variant)
    root = folder.parent / "definitions"
    made_from = {name: path.read_bytes() for name, path in lock.sources(folder.name, root).items()}
    files[lock.LOCK] = lock.render(made_from, {**files, IMAGES: images})
    return files


def compile_tree(root: Path) -> dict[str, bytes]:
    """Return everything that is compiled of a folder of models, by path in its folder ``definitions``.

    Raises
    ------
    CompileError
        If there is no model, or SageMaker would refuse a definition.
    """
    models = sorted(path.parent for path in root.glob("*/model.yaml"))
    if not models:
        raise CompileError(f"{root}: holds no folder with a model.yaml")
    for folder in models:
        load_model(folder)  # a mistake in a description is told at once, before the SDK is loaded
    images = lock.as_json(image_table())
    files = {IMAGES: images}
    for folder in models:
        files |= {f"{folder.name}/{name}": content for name, content in compile_model(folder, images).items()}
    return files


def write(files: dict[str, bytes], target: Path) -> None:
    """Write compiled files, and remove definitions that nothing makes any more."""
    for path in target.rglob("*.json"):
        if path.relative_to(target).as_posix() not in files:
            path.unlink()
    for name, content in files.items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def differences(files: dict[str, bytes], target: Path) -> list[str]:
    """Return the names of compiled files that are not the same, or not there, in a folder."""
    there = {path.relative_to(target).as_posix(): path.read_bytes() for path in target.rglob("*.json")}
    return sorted(name for name in {*files, *there} if files.get(name) != there.get(name))


def main(arguments: list[str] | None = None) -> int:
    """Compile; return 1, with a line for each thing that is wrong, if that can't be done."""
    parser = argparse.ArgumentParser(
        prog="python -m pipeline_code.compile", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--root", type=Path, default=HERE, help="folder of models (default: pipeline_code)")
    parser.add_argument("--check", action="store_true", help="write nothing; say what would change")
    given = parser.parse_args(arguments)
    root = given.root.resolve()
    target = root / "definitions"
    try:
        with quiet_sdk():
            files = compile_tree(root)
    except (CompileError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    changed = differences(files, target)
    if given.check:
        for name in changed:
            print(f"{target / name}: is not what was compiled; run: make definitions", file=sys.stderr)
        return 1 if changed else 0
    write(files, target)
    gone = [name for name in changed if name not in files]
    removed = f", {len(gone)} removed ({', '.join(gone)})" if gone else ""
    print(
        f"{len(files)} files in {given.root / 'definitions'}, {len(changed) - len(gone)} of them changed{removed}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
