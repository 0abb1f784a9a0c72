"""The compiled pipelines as files: where they lie, which variants there are, what goes with them.

Synth, the commands and the tests read through this module. It needs the standard library only, so it works in the
authoring environment too.
"""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from pipeline_code.variants import VARIANTS
from pipeline_code.wheels import wheel_files

HERE = Path(__file__).resolve().parent
DEFINITIONS = HERE / "definitions"
STEPS = HERE / "steps"
KINDS = ("train", "inference", "quality")
IMAGES = "images.json"
NO_CHAMPION = "no_champion/NO_CHAMPION"


@dataclass(frozen=True)
class Definitions:
    """The compiled pipelines of one model in one variant.

    Parameters
    ----------
    folder
        Folder of the model, such as ``mammography``.
    variant
        Name of the variant.
    train, inference, quality
        The three definitions, JSON files.
    model_json
        The model's configuration as its steps read it.
    train_sha256, inference_sha256, quality_sha256, model_sha256
        Hexadecimal digests of the bytes of these files.
    """

    folder: str
    variant: str
    train: Path
    inference: Path
    quality: Path
    model_json: Path
    train_sha256: str
    inference_sha256: str
    quality_sha256: str
    model_sha256: str

    @property
    def features(self) -> list[str]:
        """Names of the columns that the model reads, in the order of the files."""
        return [str(column["name"]) for column in json.loads(self.model_json.read_bytes())["columns"]]


def definitions_root(root: Path | None = None) -> Path:
    """Return the folder of compiled definitions.

    Parameters
    ----------
    root
        Another folder; by default the one that ``MLOPS_DEFINITIONS`` names, else pipeline_code/definitions.
    """
    return Path(os.environ.get("MLOPS_DEFINITIONS", DEFINITIONS)) if root is None else root


def folders(root: Path | None = None) -> list[str]:
    """Return the folders of the models that have been compiled, sorted."""
    return sorted(path.parent.name for path in definitions_root(root).glob("*/model.json"))


def load(folder: str, variant: str = "default", root: Path | None = None) -> Definitions:
    """Return the compiled pipelines of a model.

    It reads what is there; `pipeline_code.lock.verify` tells whether it is current.

    Parameters
    ----------
    folder
        Folder of the model, such as ``mammography``.
    variant
        One of `VARIANTS`.
    root
        Folder of compiled definitions, see `definitions_root`.

    Raises
    ------
    ValueError
        If the variant is unknown or a file is missing.
    """
    if variant not in VARIANTS:
        raise ValueError(f"variant must be one of {', '.join(VARIANTS)}; got '{variant}'")
    home = definitions_root(root) / folder
    paths = {kind: home / variant / f"{kind}.json" for kind in KINDS} | {"model": home / "model.json"}
    for path in paths.values():
        if not path.is_file() and VARIANTS[variant].model_monitor and (home / "default").is_dir():
            described = json.loads((home / "model.json").read_text(encoding="utf-8"))
            reason = not_for_model_monitor(described["id_column"], described["monitor"].get("instances", 1))
            raise ValueError(
                f"'{folder}' can't be checked by Model Monitor, {reason}; set the monitor to our own"
            )
        if not path.is_file():
            known = ", ".join(folders(root)) or "none"
            raise ValueError(
                f"{path} is missing; compiled models: {known}; to compile '{folder}' run: make definitions"
            )
    digests = {name: sha256(path.read_bytes()) for name, path in paths.items()}
    return Definitions(
        folder=folder,
        variant=variant,
        train=paths["train"],
        inference=paths["inference"],
        quality=paths["quality"],
        model_json=paths["model"],
        train_sha256=digests["train"],
        inference_sha256=digests["inference"],
        quality_sha256=digests["quality"],
        model_sha256=digests["model"],
    )


def not_for_model_monitor(id_column: str | None, instances: int) -> str:
    """Return why Model Monitor can't check a model's batches, or nothing where it can.

    Parameters
    ----------
    id_column, instances
        ``id_column`` and ``monitor.instances`` of model.yaml.
    """
    if id_column is not None:
        return "which would take its id column for a feature"
    if instances > 1:
        return f"whose step runs on one instance, not on monitor.instances of model.yaml, {instances}"
    return ""


def image_uri(region: str, root: Path | None = None) -> str:
    """Return the XGBoost container of a region, which runs training, transform and processing.

    Raises
    ------
    ValueError
        If the container isn't offered in the region.

    https://docs.aws.amazon.com/sagemaker/latest/dg/xgboost.html
    """
    return _image("xgboost", region, root)


def monitor_image_uri(region: str, root: Path | None = None) -> str:
    """Return Model Monitor's analyzer container of a region.

    Raises
    ------
    ValueError
        If the container isn't offered in the region.

    https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-pre-built-container.html
    """
    return _image("model-monitor", region, root)


def image_regions(root: Path | None = None) -> list[str]:
    """Return the regions, of all partitions, in which the XGBoost container is offered; sorted."""
    return list(_images("xgboost", root))


def monitor_image_regions(root: Path | None = None) -> list[str]:
    """Return the regions in which Model Monitor's analyzer container is offered; sorted."""
    return list(_images("model-monitor", root))


def _image(name: str, region: str, root: Path | None) -> str:
    images = _images(name, root)
    if region not in images:
        raise ValueError(
            f"SageMaker's {name} container is not offered in region '{region}', only in: {', '.join(images)}"
        )
    return images[region]


def _images(name: str, root: Path | None) -> dict[str, str]:
    path = definitions_root(root) / IMAGES
    if not path.is_file():
        raise ValueError(f"{path} is missing; run: make definitions")
    table: dict[str, dict[str, dict[str, str]]] = json.loads(path.read_text(encoding="utf-8"))
    return table[name]["images"]


def code_files(folder: str, root: Path | None = None) -> dict[str, bytes]:
    """Return what a model's jobs find under ``CodeUri``: path there -> content, sorted by path.

    The steps, the model's configuration, the marker that stands for "there is no champion", and where the model has a
    wheels.txt, that and its wheels.

    Parameters
    ----------
    folder
        Folder of the model, such as ``mammography``.
    root
        Folder of compiled definitions, see `definitions_root`.

    Raises
    ------
    pipeline_code.wheels.WheelsError
        A wheel isn't at hand, or wheels.txt can't be used. One line.
    """
    files = {f"steps/{path.relative_to(STEPS).as_posix()}": path.read_bytes() for path in STEPS.rglob("*.py")}
    files["model.json"] = (definitions_root(root) / folder / "model.json").read_bytes()
    files[NO_CHAMPION] = b"No version is approved yet.\n"
    files |= wheel_files(definitions_root(root).parent / folder)
    return dict(sorted(files.items()))


def code_sha256(folder: str, root: Path | None = None) -> str:
    """Return a digest of the paths and contents of `code_files`, in hexadecimal."""
    listing = [f"{sha256(content)}  {path}\n" for path, content in code_files(folder, root).items()]
    return sha256("".join(listing).encode())


def write_code(folder: str, target: Path, root: Path | None = None) -> Path:
    """Write `code_files` below a folder, such as one to be used as an asset, and return that folder.

    Parameters
    ----------
    folder
        Folder of the model, such as ``mammography``.
    target
        Folder to write into; made if it isn't there.
    root
        Folder of compiled definitions, see `definitions_root`.
    """
    for name, content in code_files(folder, root).items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return target


def sha256(content: bytes) -> str:
    """Return the digest of some bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()
