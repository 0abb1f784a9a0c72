"""A model whose batches several instances check: what is compiled of it, and what isn't."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from pipeline_code.compile import variants_of
from pipeline_code.definitions import load
from pipeline_code.model_config import load_model
from pipeline_code.variants import VARIANTS
from tests.definitions.mutations import steps_of
from tests.definitions.programs import check_arguments, check_folders
from tests.fixtures.authoring import authoring, shared_wine
from tests.fixtures.trees import SECOND, SHIPPED

CHECK, VERDICT = "Wine-DataQualityCheck", "Wine-DataQualityVerdict"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Definitions of the second model, whose check two instances share."""
    return shared_wine(tmp_path_factory.mktemp("shared"), 2)


@pytest.fixture(scope="module", params=["default", "vpc"])
def inference(request: pytest.FixtureRequest, root: Path) -> dict[str, Any]:
    return dict(json.loads(load("wine", request.param, root).inference.read_text()))


def by_name(body: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {held["Name"]: held for held in steps_of(body["Steps"])}


def references(value: Any) -> set[str]:
    """Return the steps that a part of a definition takes values of."""
    return set(re.findall(r"Steps\.([\w-]+)\.", json.dumps(value)))


def distributions(held: dict[str, Any]) -> dict[str, str]:
    return {
        one["InputName"]: one["S3Input"]["S3DataDistributionType"]
        for one in held["Arguments"]["ProcessingInputs"]
    }


@pytest.mark.authoring
@pytest.mark.xdist_group("authoring-b")
def test_the_verdict_is_a_step_of_its_own_that_all_later_steps_ask(inference: dict[str, Any]) -> None:
    steps = by_name(inference)
    names = [held["Name"].removeprefix("Wine-") for held in inference["Steps"]]
    assert names[:3] == ["ResolveModel", "DataQualityCheck", "DataQualityVerdict"]
    assert len(names) == 7
    for name in ("CheckDeliver", "CheckDriftDelivered", "CheckDrift", "CheckViolation"):
        assert references(steps[f"Wine-{name}"]["Arguments"]["Conditions"]) == {VERDICT}
    assert references(steps["Wine-RecordPredictions"]["Arguments"]["rows"]) == {VERDICT}
    assert references(steps["Wine-Transform"]["Arguments"]["TransformInput"]) == {CHECK}


@pytest.mark.authoring
@pytest.mark.xdist_group("authoring-b")
def test_each_instance_gets_some_of_the_batch_and_all_of_the_code_and_of_the_model(
    inference: dict[str, Any],
) -> None:
    check = by_name(inference)[CHECK]
    assert distributions(check) == {
        "code": "FullyReplicated",
        "batch": "ShardedByS3Key",
        "model": "FullyReplicated",
    }
    (model,) = (one for one in check["Arguments"]["ProcessingInputs"] if one["InputName"] == "model")
    assert model["S3Input"]["S3Uri"] == {"Get": "Steps.Wine-ResolveModel.OutputParameters['model_uri']"}
    cluster = check["Arguments"]["ProcessingResources"]["ClusterConfig"]
    assert cluster["InstanceCount"] == {"Get": "Parameters.ProcessingInstanceCount"}
    parameters = {one["Name"]: one.get("DefaultValue") for one in inference["Parameters"]}
    assert parameters["ProcessingInstanceCount"] == 2
    assert "PropertyFiles" not in check


@pytest.mark.authoring
@pytest.mark.xdist_group("authoring-b")
def test_one_instance_gives_the_verdict_and_knows_how_many_states_there_must_be(
    inference: dict[str, Any],
) -> None:
    verdict = by_name(inference)[VERDICT]
    arguments = verdict["Arguments"]
    assert arguments["ProcessingResources"]["ClusterConfig"]["InstanceCount"] == 1
    assert set(distributions(verdict).values()) == {"FullyReplicated"}
    (states,) = (one for one in arguments["ProcessingInputs"] if one["InputName"] == "states")
    assert states["S3Input"]["S3Uri"] == {
        "Get": f"Steps.{CHECK}.ProcessingOutputConfig.Outputs['state'].S3Output.S3Uri"
    }
    told = arguments["AppSpecification"]["ContainerArguments"]
    assert told[told.index("--instances") + 1] == {
        "Std:Join": {"On": "", "Values": [{"Get": "Parameters.ProcessingInstanceCount"}]}
    }
    assert "--predictions-on-drift" in told
    assert "--drift-threshold" in told
    assert verdict["PropertyFiles"] == [
        {"FilePath": "verdict.json", "OutputName": "report", "PropertyFileName": "Verdict"}
    ]


@pytest.mark.authoring
@pytest.mark.xdist_group("authoring-b")
def test_the_programs_take_what_they_are_given(inference: dict[str, Any], tmp_path: Path) -> None:
    for name in (CHECK, VERDICT):
        check_arguments(by_name(inference)[name], tmp_path)
        check_folders(by_name(inference)[name])


@pytest.mark.authoring
@pytest.mark.xdist_group("authoring-b")
def test_nothing_else_differs_from_the_check_of_one_instance(root: Path, inference: dict[str, Any]) -> None:
    committed = load("wine", "default", SECOND / "definitions")
    assert load("wine", "default", root).train.read_bytes() == committed.train.read_bytes()
    one = by_name(json.loads(committed.inference.read_text()))
    assert set(by_name(inference)) == {*one, VERDICT}


def shared_mammography(root: Path) -> Path:
    """Write the shipped model, which Model Monitor can check, with a check that three instances share."""
    text = (SHIPPED / "mammography" / "model.yaml").read_text()
    assert text.count("\n  instances: 1 ") == 1
    (root / "mammography").mkdir()
    (root / "mammography" / "model.yaml").write_text(text.replace("\n  instances: 1 ", "\n  instances: 3 "))
    return root / "mammography"


WHY = "whose step runs on one instance, not on monitor.instances of model.yaml, 3"


def test_a_shared_check_has_no_variant_with_model_monitor(tmp_path: Path) -> None:
    assert variants_of(load_model(shared_mammography(tmp_path))) == ["default", "vpc"]
    assert variants_of(load_model("mammography")) == list(VARIANTS)


def test_settings_that_ask_for_model_monitor_are_refused_with_the_reason(tmp_path: Path) -> None:
    described = load_model(shared_mammography(tmp_path)).as_json()
    home = tmp_path / "definitions" / "mammography"
    (home / "default").mkdir(parents=True)
    (home / "model.json").write_text(json.dumps(described))
    with pytest.raises(
        ValueError, match=re.escape(f"'mammography' can't be checked by Model Monitor, {WHY}; set")
    ):
        load("mammography", "model-monitor", tmp_path / "definitions")


@pytest.mark.authoring
@pytest.mark.xdist_group("authoring-a")
def test_a_notebook_that_asks_for_model_monitor_is_refused_with_the_reason(tmp_path: Path) -> None:
    folder = shared_mammography(tmp_path)
    program = (
        "from pipeline_code.inference_pipeline import get_pipeline\n"
        f"get_pipeline(folder={str(folder)!r}, variant='model-monitor')\n"
    )
    done = authoring("-c", program, AWS_DEFAULT_REGION="eu-west-1")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"ValueError: 'mammography' can't be checked by Model Monitor, {WHY}"
    )
