"""What a step's program must take: the arguments and folders that its definition names."""

import importlib
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CONTRACT = (ROOT / "docs" / "architecture.md").read_text()
# What a parameter or another step gives; every other expression is a text that any program takes.
SAMPLES = {"PredictionsOnDrift": "withhold", "DriftThreshold": "0.1", "ProcessingInstanceCount": "2"}


def sample(argument: Any) -> str:
    """Return an argument as a running pipeline would give it."""
    if isinstance(argument, str):
        return argument
    named = re.search(r"Parameters\.(\w+)", str(argument))
    return SAMPLES.get(named[1], "3") if named else "3"


def check_arguments(held: dict[str, Any], folder: Path) -> None:
    """Assert that the program of a step takes the step's arguments."""
    specification = held["Arguments"]["AppSpecification"]
    assert specification["ContainerEntrypoint"][:2] == ["python3", "-m"]
    module = importlib.import_module(specification["ContainerEntrypoint"][2])
    called = [*specification["ContainerEntrypoint"][3:], *specification["ContainerArguments"]]
    arguments = [sample(argument).replace("/opt/ml", str(folder)) for argument in called]
    # argparse would leave by SystemExit; there being no model.json is what a program says by its exit code
    assert module.main(arguments) == 2


def check_folders(held: dict[str, Any]) -> None:
    """Assert that a step has the folders that the contract gives its program."""
    program = " ".join(held["Arguments"]["AppSpecification"]["ContainerEntrypoint"][2:])
    row = next(line for line in CONTRACT.splitlines() if line.startswith(f"| `{program}` |"))
    inputs, outputs = (set(re.findall(r"`([\w-]+)`", cell)) for cell in row.split("|")[2:4])
    assert {one["InputName"] for one in held["Arguments"]["ProcessingInputs"]} == inputs | {"code"}
    assert {one["OutputName"] for one in held["Arguments"]["ProcessingOutputConfig"]["Outputs"]} <= outputs
