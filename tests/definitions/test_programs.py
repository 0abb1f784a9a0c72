"""The definitions call the programs of pipeline_code/steps as these want to be called."""

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

from pipeline_code.definitions import KINDS
from tests.definitions.mutations import definition, steps_of

ROOT = Path(__file__).resolve().parents[2]
CONTRACT = (ROOT / "docs" / "architecture.md").read_text()
# What a parameter or another step gives; every other expression is a text that any program takes.
SAMPLES = {"PredictionsOnDrift": "withhold", "DriftThreshold": "0.1"}


def programs() -> list[Any]:
    """Return every processing step of the model shipped that runs one of our programs."""
    return [
        pytest.param(held, id=f"{variant}-{held['Name']}")
        for variant in ("default", "model-monitor")
        for kind in KINDS
        for held in steps_of(definition(kind, variant)["Steps"])
        if held["Type"] == "Processing"
    ]


def sample(argument: Any) -> str:
    """Return an argument as a running pipeline would give it."""
    if isinstance(argument, str):
        return argument
    named = re.search(r"Parameters\.(\w+)", str(argument))
    return SAMPLES.get(named[1], "3") if named else "3"


@pytest.mark.parametrize("held", programs())
def test_the_program_takes_its_arguments(held: dict[str, Any], tmp_path: Path) -> None:
    specification = held["Arguments"]["AppSpecification"]
    assert specification["ContainerEntrypoint"][:2] == ["python3", "-m"]
    module = importlib.import_module(specification["ContainerEntrypoint"][2])
    called = [*specification["ContainerEntrypoint"][3:], *specification["ContainerArguments"]]
    arguments = [sample(argument).replace("/opt/ml", str(tmp_path)) for argument in called]
    # argparse would leave by SystemExit; there being no model.json is what a program says by its exit code
    assert module.main(arguments) == 2


@pytest.mark.parametrize("held", programs())
def test_the_program_gets_and_gives_the_folders_of_the_contract(held: dict[str, Any]) -> None:
    program = " ".join(held["Arguments"]["AppSpecification"]["ContainerEntrypoint"][2:])
    row = next(line for line in CONTRACT.splitlines() if line.startswith(f"| `{program}` |"))
    inputs, outputs = (set(re.findall(r"`([\w-]+)`", cell)) for cell in row.split("|")[2:4])
    assert {one["InputName"] for one in held["Arguments"]["ProcessingInputs"]} == inputs | {"code"}
    assert {one["OutputName"] for one in held["Arguments"]["ProcessingOutputConfig"]["Outputs"]} <= outputs
