from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline_code.model_config import PACKAGE, ModelConfigError, load_model
from pipeline_code.steps.model import Model, read_model

SHIPPED = (PACKAGE / "mammography" / "model.yaml").read_text()


def _folder(root: Path, text: str, name: str = "mine") -> Path:
    (root / name).mkdir()
    (root / name / "model.yaml").write_text(text)
    return root / name


def _changed(root: Path, *path: str | int, to: Any) -> Path:
    """Return a folder with the shipped model.yaml, one value changed."""
    content = yaml.safe_load(SHIPPED)
    held = content
    for key in path[:-1]:
        held = held[key]
    held[path[-1]] = to
    return _folder(root, yaml.safe_dump(content))


def test_the_shipped_model_keeps_the_names_of_the_blog() -> None:
    model = load_model("mammography")

    assert (model.folder, model.prefix, model.step_prefix) == ("mammography", "mammo-severity", "Mammo-")
    assert model.model_name == "mammography-severity-model"
    assert model.model_package_group == "mammo-severity-model-package"
    assert model.features == ["BIRADS", "Age", "Shape", "Margin", "Density"]
    assert (model.thresholds.auc, model.thresholds.champion_margin) == (0.85, 0.02)
    assert model.hyperparameters["monotone_constraints"] == "(1,1,1,1,0)"


def test_a_path_loads_the_same_as_a_name(tmp_path: Path) -> None:
    assert load_model(PACKAGE / "mammography") == load_model("mammography")
    assert load_model(_folder(tmp_path, SHIPPED)).folder == "mine"


def test_model_json_is_the_same_whatever_the_order_of_the_keys(tmp_path: Path) -> None:
    content = yaml.safe_load(SHIPPED)
    turned = yaml.safe_dump(dict(reversed(list(content.items()))), sort_keys=False)

    first = json.dumps(load_model("mammography").as_json())
    second = json.dumps(load_model(_folder(tmp_path, turned, "mammography")).as_json())

    assert first == second


def test_the_steps_read_back_what_was_compiled(tmp_path: Path) -> None:
    config = load_model("mammography")
    path = tmp_path / "model.json"
    path.write_text(json.dumps(config.as_json()))

    read = read_model(path)

    assert type(read) is Model
    for name in Model.__dataclass_fields__:
        assert getattr(read, name) == getattr(config, name)


@pytest.mark.parametrize(
    ("path", "to", "told"),
    [
        (("colums",), [], "colums is not a known key; did you mean 'columns'?"),
        (("names", "prefix"), "mammo severity", "names.prefix must hold letters, digits and single hyphens"),
        (("names", "prefix"), "mammo--severity", "got 'mammo--severity'"),
        (("names", "prefix"), "a" * 25, "names.prefix must have at most 24 characters, got 25"),
        (("names", "prefix"), "mammo-train", "names.prefix must hold no part 'train'"),
        (("names", "prefix"), "inference-mammo", "names.prefix must hold no part 'inference'"),
        (("names", "prefix"), 7, "names.prefix must be a text, got 7"),
        (("names", "model_name"), "a" * 64, "names.model_name must have at most 63 characters, got 64"),
        (("names", "step_prefix"), "Mammo.", "names.step_prefix must hold letters, digits, hyphens"),
        (("columns",), [], "columns must hold at least one column, got []"),
        (("columns",), "BIRADS", "columns must be a list, got 'BIRADS'"),
        (("columns", 0), "BIRADS", "columns[0] must be a mapping of keys to values, got 'BIRADS'"),
        (
            ("columns", 1, "type"),
            "float",
            "columns[1].type must be one of integer, number, string, got 'float'",
        ),
        (("columns", 1, "name"), "birads", "columns 'birads' is there twice"),
        (("columns", 1, "name"), "a,b", "columns[1].name must hold no comma, quote or line break"),
        (("columns", 1, "range"), [120, 0], "columns[1].range must begin below its end, got [120, 0]"),
        (("columns", 1, "range"), 120, "columns[1].range must be two numbers, [lowest, highest], got 120"),
        (("columns", 1, "typ"), "x", "columns[1].typ is not a known key; did you mean 'type'?"),
        (("columns", 2, "values"), [1, 2, 2], "columns[2].values must differ from each other, got [1, 2, 2]"),
        (
            ("columns", 2, "values"),
            [1, 2.5],
            "columns[2].values must be of the column's type integer, got 2.5",
        ),
        (("columns", 2, "values"), ["a"], "columns[2].values must be of the column's type integer, got 'a'"),
        (("columns", 2, "values"), [True, False], "columns[2].values must hold numbers or texts, got True"),
        (("columns", 0, "repairs"), {55: 9}, "columns[0].repairs 9 is above 6, so it repairs nothing"),
        (("columns", 0, "repairs"), {4: 5}, "columns[0].repairs 4 is legal, so it must not be changed"),
        (
            ("columns", 0, "repairs"),
            [55, 5],
            "columns[0].repairs must map what is found to what it stands for",
        ),
        (("columns", 0, "required"), "yes", "columns[0].required must be true or false, got 'yes'"),
        (("target", "values"), [0, 1, 2], "target.values must be two, the negative and the positive class"),
        (("id_column",), "Age", "columns 'Age' is there twice"),
        (("missing",), [0], 'missing must hold texts, got 0; put it in quotes: "0"'),
        (("batch", "header"), "no", "batch.header must be true or false, got 'no'"),
        (("holdout", "fraction"), 0.9, "holdout.fraction must be a number from 0.05 to 0.5, got 0.9"),
        (("holdout", "salt"), "", "holdout.salt must not be empty, got ''"),
        (("evaluation", "folds"), 1, "evaluation.folds must be a whole number from 2 to 20, got 1"),
        (("hyperparameters", "max_dept"), 3, "did you mean 'max_depth'?"),
        (("hyperparameters", "objective"), "reg:linear", "objective must be one of binary:logistic"),
        (("hyperparameters", "num_round"), "many", "num_round must be a whole number from 1 to 100000"),
        (("hyperparameters", "monotone_constraints"), [1, 1], "must be a list of 5 numbers -1, 0 or 1"),
        (("hyperparameters", "early_stopping_rounds"), 5, "needs a validation channel"),
        (("hyperparameters", "eta"), [0.1], "hyperparameters.eta must be a number or a text, got [0.1]"),
        (("thresholds", "auc"), 85, "thresholds.auc must be a number from 0.5 to 1, got 85"),
        (
            ("thresholds", "champion_margin"),
            -0.1,
            "thresholds.champion_margin must be a number from 0 to 0.5",
        ),
        (("monitor", "comparison_method"), "KS", "comparison_method must be one of Robust, Simple, got 'KS'"),
        (
            ("monitor", "categorical_drift_method"),
            "ChiSquared",
            "categorical_comparison_threshold must be above 0",
        ),
        (("monitor", "drift_confidence"), 1.0, "drift_confidence must be"),
        (
            ("monitor", "retrain_after"),
            {"drifted": 3, "of": 2},
            "retrain_after.drifted must be a whole number from 1 to 2, got 3",
        ),
        (
            ("monitor", "retrain_after"),
            {"drifted": 2, "of": 21},
            "retrain_after.of must be a whole number from 1 to 20, got 21",
        ),
        (("monitor", "retrain_after"), {"k": 2}, "k"),
        (
            ("monitor", "model_quality"),
            {"auc_margin": 0.6},
            "model_quality.auc_margin must be a number from 0 to 0.5, got 0.6",
        ),
        (
            ("monitor", "model_quality"),
            {"confidence": 1},
            "model_quality.confidence must be a number from 0.5 to",
        ),
        (("monitor", "model_quality"), {"margin": 0.1}, "margin"),
        (("monitor", "instances"), 0, "monitor.instances must be a whole number from 1 to 100, got 0"),
        (("monitor", "instances"), 101, "monitor.instances must be a whole number from 1 to 100, got 101"),
        (
            ("monitor", "instances"),
            "two",
            "monitor.instances must be a whole number from 1 to 100, got 'two'",
        ),
        (
            ("monitor", "comparison_threshold"),
            True,
            "comparison_threshold must be a number from 0 to 1, got True",
        ),
        (("data_files", "batches"), ["../x.csv"], "must hold file names without folders, got '../x.csv'"),
        (("data_files", "train", "dev"), "x.csv", "data_files.train.dev must be a list, got 'x.csv'"),
        (
            ("instance_types", "training"),
            "m5.xlarge",
            "be an instance type such as ml.m5.xlarge, got 'm5.xlarge'",
        ),
    ],
)
def test_a_mistake_gives_one_line_with_the_key_the_value_and_the_rule(
    tmp_path: Path, path: tuple[str | int, ...], to: Any, told: str
) -> None:
    with pytest.raises(ModelConfigError) as raised:
        load_model(_changed(tmp_path, *path, to=to))

    message = str(raised.value)
    assert message.startswith("mine/model.yaml: ")
    assert told in message
    assert "\n" not in message


@pytest.mark.parametrize("key", ["names", "columns", "target", "holdout", "hyperparameters"])
def test_what_is_needed_is_named_where_it_is_missing(tmp_path: Path, key: str) -> None:
    content = yaml.safe_load(SHIPPED)
    del content[key]

    with pytest.raises(ModelConfigError, match=f"mine/model.yaml: {key} is missing"):
        load_model(_folder(tmp_path, yaml.safe_dump(content)))


def test_what_may_be_left_out_has_defaults(tmp_path: Path) -> None:
    content = yaml.safe_load(SHIPPED)
    for key in (
        "id_column",
        "missing",
        "batch",
        "evaluation",
        "thresholds",
        "monitor",
        "data_files",
        "instance_types",
    ):
        del content[key]

    model = load_model(_folder(tmp_path, yaml.safe_dump(content)))

    assert model.missing == ("", "?")
    assert model.batch_header is False
    assert model.thresholds.auc == 0.85
    assert model.as_json()["batch_file"] == ""


def test_a_prefix_of_the_greatest_length_is_fine(tmp_path: Path) -> None:
    assert load_model(_changed(tmp_path, "names", "prefix", to="a" * 24)).prefix == "a" * 24


def test_a_prefix_may_hold_train_within_a_word(tmp_path: Path) -> None:
    assert load_model(_changed(tmp_path, "names", "prefix", to="trainee-x")).prefix == "trainee-x"


def test_a_string_column_needs_its_values(tmp_path: Path) -> None:
    column = {"name": "Site", "type": "string"}

    with pytest.raises(ModelConfigError, match="are needed in a string column"):
        load_model(_changed(tmp_path, "columns", 0, to=column))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("names: [", "line 1: .*; it must be YAML"),
        ("- a\n- b\n", "the file must be a mapping of keys to values"),
        ("", "the file must be a mapping of keys to values, got None"),
    ],
)
def test_a_file_that_is_no_mapping_is_named(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ModelConfigError, match=told):
        load_model(_folder(tmp_path, text))


def test_a_key_that_is_there_twice_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelConfigError, match=r"line \d+: 'holdout' is there twice"):
        load_model(_folder(tmp_path, SHIPPED + "\nholdout: {salt: other, fraction: 0.1}\n"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelConfigError, match=r"nothing/model\.yaml: there is no such file"):
        load_model(tmp_path / "nothing")


def test_a_folder_that_python_could_not_import_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelConfigError, match="the folder's name must be lower-case letters"):
        load_model(_folder(tmp_path, SHIPPED, "My-Model"))
