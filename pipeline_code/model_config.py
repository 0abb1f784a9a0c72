"""A model's folder as its data scientist writes it: model.yaml, checked, and compiled to model.json.

Keys of model.yaml (``columns``, ``target``, ``holdout``, ``monitor`` and so on as in `pipeline_code.steps.model`):

=================  ===================================================================================================
``names``          ``prefix``, ``model_name``, ``model_package_group``, ``step_prefix``
``columns``        features in the order of the files: ``name``, ``type``, ``range`` or ``values``, ``repairs``,
                   ``required``
``target``         the label: ``name``, ``type``, two ``values``, of which the second is the positive class
``id_column``      name of the column that identifies a row, the first of every file; none by default
``missing``        cells that stand for a missing value
``batch``          ``header``: whether batches carry a header row
``holdout``        ``salt`` and ``fraction``
``hyperparameters``  of SageMaker's XGBoost container
``evaluation``     ``folds``, ``repeats``, ``seed`` of the cross-validation
``thresholds``     ``auc``, ``champion_margin``
``monitor``        how a batch is compared with the baseline; ``instances``: how many processing instances share that
                   (1 to 100), each takes whole files
``data_files``     ``train``: stage to file names; ``batches``: file names, the first for the schedule
``instance_types`` ``processing``, ``training``, ``transform``
=================  ===================================================================================================
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline_code.hyperparameters import compiled
from pipeline_code.mapping import Mapping, ModelConfigError
from pipeline_code.steps.model import (
    Column,
    Evaluation,
    Holdout,
    Model,
    ModelQuality,
    Monitor,
    RetrainAfter,
    Value,
)

__all__ = ["DataFiles", "InstanceTypes", "ModelConfig", "ModelConfigError", "Thresholds", "load_model"]

FILE = "model.yaml"
PACKAGE = Path(__file__).resolve().parent

# a word of letters and digits, words joined by hyphens
NAME = r"[a-zA-Z0-9]+(-[a-zA-Z0-9]+)*"
# a job's name must still hold `<prefix>-inference-` when it is cut to 37 characters: roles are narrowed to it
PREFIX_LENGTH = 24
NAME_LENGTH = 63
STEP_PREFIX_LENGTH = 24
RESERVED_SEGMENTS = ("train", "inference")
INSTANCE_TYPE = r"ml\.[a-z0-9-]+\.[a-z0-9]+"
FILE_NAME = r"[\w][\w.-]*"
INSTANCES = 100  # of one processing job, as the API has it


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """When a version is registered.

    Attributes
    ----------
    auc
        Smallest cross-validated AUC.
    champion_margin
        How much lower than the champion's its AUC on the hold-out may be.
    """

    auc: float = 0.85
    champion_margin: float = 0.02


@dataclass(frozen=True, kw_only=True)
class InstanceTypes:
    """Machines of the jobs."""

    processing: str = "ml.m5.xlarge"
    training: str = "ml.m5.xlarge"
    transform: str = "ml.m5.xlarge"


@dataclass(frozen=True, kw_only=True)
class DataFiles:
    """Files that come with the model.

    Attributes
    ----------
    train
        Stage to the files that it trains on.
    batches
        Batches to score; the first is the schedule's.
    """

    train: dict[str, tuple[str, ...]]
    batches: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ModelConfig(Model):
    """All of model.yaml: what the steps know, and names, thresholds, machines and files.

    Attributes
    ----------
    folder
        Name of the model's folder.
    prefix
        Begins the names of pipelines, jobs, roles and functions.
    model_name
        First part of every object key.
    model_package_group
        Name of the group in the registry account.
    step_prefix
        Begins the names of steps.
    """

    folder: str
    prefix: str
    model_name: str
    model_package_group: str
    step_prefix: str
    thresholds: Thresholds
    instance_types: InstanceTypes
    data_files: DataFiles

    def as_json(self) -> dict[str, Any]:
        """Return model.json: the same for the same model.yaml, keys in a fixed order."""
        described = _plain(asdict(self))
        return {
            **{key: described.pop(key) for key in ("folder", "prefix", "model_name", "model_package_group")},
            "batch_file": self.data_files.batches[0] if self.data_files.batches else "",
            **dict(sorted(described.items())),
        }


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(held) for held in value]
    return value


class _Loader(yaml.SafeLoader):
    """Safe, and strict about a key that is there twice, where YAML's own would drop the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return the mapping."""
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"'{key.value}' is there twice", key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


def load_model(folder: Path | str) -> ModelConfig:
    """Read and check the model.yaml of a folder.

    Parameters
    ----------
    folder
        The folder; a bare name is one of pipeline_code.

    Raises
    ------
    ModelConfigError
        One line that names the file, the key, the value and the rule.
    """
    path = (
        PACKAGE / folder if isinstance(folder, str) and Path(folder).name == folder else Path(folder)
    ) / FILE
    shown = f"{path.parent.name}/{FILE}"
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - a safe loader
    except FileNotFoundError:
        raise ModelConfigError(f"{shown}: there is no such file") from None
    except UnicodeDecodeError:
        raise ModelConfigError(f"{shown}: is not UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise ModelConfigError(
            f"{shown}{where}: {getattr(error, 'problem', None) or 'unreadable'}; it must be YAML"
        ) from None
    return _config(Mapping(content, shown, ""), path.resolve().parent.name)


def _config(top: Mapping, folder: str) -> ModelConfig:
    if not folder.isidentifier() or not folder.islower():
        raise top.error(
            "", f"the folder's name must be lower-case letters, digits and underscores, got '{folder}'"
        )
    names = top.mapping("names")
    prefix = names.text(
        "prefix", pattern=NAME, rule="hold letters, digits and single hyphens", longest=PREFIX_LENGTH
    )
    for segment in RESERVED_SEGMENTS:
        if segment in prefix.split("-"):
            raise names.error(
                "prefix", f"must hold no part '{segment}', which tells pipelines apart, got '{prefix}'"
            )
    columns = tuple(_column(column) for column in top.mappings("columns"))
    target = _column(top.mapping("target"))
    id_column = top.optional_text("id_column")
    _check_columns(top, columns, target, id_column)
    batch = top.mapping("batch", default={})
    config = ModelConfig(
        folder=folder,
        prefix=prefix,
        model_name=names.text("model_name", pattern=NAME, rule="hold letters, digits and single hyphens"),
        model_package_group=names.text(
            "model_package_group", pattern=NAME, rule="hold letters, digits and single hyphens"
        ),
        step_prefix=names.text(
            "step_prefix",
            default="",
            pattern=r"([A-Za-z0-9][A-Za-z0-9_-]*)?",
            rule="hold letters, digits, hyphens and underscores",
            longest=STEP_PREFIX_LENGTH,
        ),
        columns=columns,
        target=target,
        id_column=id_column,
        missing=top.texts("missing", default=["", "?"]),
        batch_header=batch.flag("header", default=False),
        holdout=_holdout(top.mapping("holdout")),
        evaluation=_evaluation(top.mapping("evaluation", default={})),
        hyperparameters=compiled(top.mapping("hyperparameters"), features=len(columns)),
        monitor=_monitor(top.mapping("monitor", default={})),
        thresholds=_thresholds(top.mapping("thresholds", default={})),
        instance_types=_instance_types(top.mapping("instance_types", default={})),
        data_files=_data_files(top.mapping("data_files", default={"train": {}, "batches": []})),
    )
    for section in (names, batch, top):
        section.done()
    return config


def _column(given: Mapping) -> Column:
    name = given.text("name", pattern=r"[^\s,\"'][^,\"\n\r]*", rule="hold no comma, quote or line break")
    kind = given.choice("type", ("integer", "number", "string"))
    low, high = given.range("range") if kind != "string" else (None, None)
    values = tuple(given.scalars("values"))
    column = Column(
        name=name,
        type=kind,  # type: ignore[arg-type]
        minimum=low,
        maximum=high,
        values=values,
        repairs=tuple(given.pairs("repairs")),
        required=given.flag("required", default=False),
    )
    given.done()
    for key, held in (("values", values), ("repairs", [value for pair in column.repairs for value in pair])):
        for value in held:
            if not _fits(column, value):
                raise given.error(key, f"must be of the column's type {kind}, got {value!r}")
    if len(set(values)) < len(values):
        raise given.error("values", f"must differ from each other, got {list(values)}")
    if kind == "string" and not values:
        raise given.error(
            "values", "are needed in a string column: its place in the list is what the model sees"
        )
    for wrong, right in column.repairs:
        if column.fault(right):
            raise given.error("repairs", f"{right!r} {column.fault(right)}, so it repairs nothing")
        if Column(name=name, type=column.type, minimum=low, maximum=high, values=values).fault(wrong) is None:
            raise given.error("repairs", f"{wrong!r} is legal, so it must not be changed")
    return column


def _fits(column: Column, value: Value) -> bool:
    if column.type == "string":
        return isinstance(value, str)
    return not isinstance(value, str) and (column.type == "number" or float(value).is_integer())


def _check_columns(top: Mapping, columns: tuple[Column, ...], target: Column, id_column: str | None) -> None:
    if not columns:
        raise top.error("columns", "must hold at least one column, got []")
    seen: set[str] = set()
    for name in [*(column.name for column in columns), target.name, *([id_column] if id_column else [])]:
        if name.casefold() in seen:
            raise top.error("columns", f"'{name}' is there twice (target and id_column count, case doesn't)")
        seen.add(name.casefold())
    if len(target.values) != 2:
        raise top.error(
            "target.values", f"must be two, the negative and the positive class, got {list(target.values)}"
        )


def _holdout(given: Mapping) -> Holdout:
    result = Holdout(
        salt=given.text("salt", pattern=r"\S.*", rule="not be empty"),
        fraction=given.number("fraction", low=0.05, high=0.5),
    )
    given.done()
    return result


def _evaluation(given: Mapping) -> Evaluation:
    result = Evaluation(
        folds=given.integer("folds", default=Evaluation.folds, low=2, high=20),
        repeats=given.integer("repeats", default=Evaluation.repeats, low=1, high=100),
        seed=given.integer("seed", default=Evaluation.seed, low=0, high=2**32 - 1),
    )
    given.done()
    return result


def _thresholds(given: Mapping) -> Thresholds:
    result = Thresholds(
        auc=given.number("auc", default=Thresholds.auc, low=0.5, high=1.0),
        champion_margin=given.number(
            "champion_margin", default=Thresholds.champion_margin, low=0.0, high=0.5
        ),
    )
    given.done()
    return result


def _instance_types(given: Mapping) -> InstanceTypes:
    result = InstanceTypes(
        **{
            key: given.text(
                key,
                default=getattr(InstanceTypes, key),
                pattern=INSTANCE_TYPE,
                rule="be an instance type such as ml.m5.xlarge",
            )
            for key in ("processing", "training", "transform")
        }
    )
    given.done()
    return result


def _data_files(given: Mapping) -> DataFiles:
    stages = given.mapping("train", default={})
    train = {stage: stages.file_names(stage, FILE_NAME) for stage in stages.keys()}  # noqa: SIM118 - not a dict
    result = DataFiles(train=train, batches=given.file_names("batches", FILE_NAME))
    for section in (stages, given):
        section.done()
    return result


def _monitor(given: Mapping) -> Monitor:
    def share(key: str) -> float:
        return given.number(key, default=getattr(Monitor, key), low=0.0, high=1.0)

    def confidence(key: str) -> float:
        return given.number(key, default=getattr(Monitor, key), low=0.5, high=0.999999)

    result = Monitor(
        comparison_method=given.choice(  # type: ignore[arg-type]
            "comparison_method", ("Robust", "Simple"), default=Monitor.comparison_method
        ),
        comparison_threshold=share("comparison_threshold"),
        categorical_comparison_threshold=share("categorical_comparison_threshold"),
        categorical_drift_method=given.choice(  # type: ignore[arg-type]
            "categorical_drift_method", ("LInfinity", "ChiSquared"), default=Monitor.categorical_drift_method
        ),
        datatype_check_threshold=share("datatype_check_threshold"),
        domain_content_threshold=share("domain_content_threshold"),
        completeness_confidence=confidence("completeness_confidence"),
        drift_confidence=confidence("drift_confidence"),
        retrain_after=_retrain_after(given.mapping("retrain_after", default={})),
        model_quality=_model_quality(given.mapping("model_quality", default={})),
        instances=given.integer("instances", default=Monitor.instances, low=1, high=INSTANCES),
    )
    given.done()
    if result.categorical_drift_method == "ChiSquared" and not result.categorical_comparison_threshold:
        raise given.error(
            "categorical_comparison_threshold",
            "must be above 0 with ChiSquared, the p-value below which a feature has drifted, got 0.0",
        )
    return result


def _model_quality(given: Mapping) -> ModelQuality:
    def number(key: str, low: float, high: float) -> float:
        return given.number(key, default=getattr(ModelQuality, key), low=low, high=high)

    result = ModelQuality(
        auc_margin=number("auc_margin", 0.0, 0.5),
        calibration_margin=number("calibration_margin", 0.0, 1.0),
        confidence=number("confidence", 0.5, 0.999999),
    )
    given.done()
    return result


def _retrain_after(given: Mapping) -> RetrainAfter:
    of = given.integer("of", default=RetrainAfter.of, low=1, high=20)
    result = RetrainAfter(
        drifted=given.integer("drifted", default=RetrainAfter.drifted, low=1, high=of), of=of
    )
    given.done()
    return result
