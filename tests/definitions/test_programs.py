"""The definitions call the programs of pipeline_code/steps as these want to be called."""

from pathlib import Path
from typing import Any

import pytest

from pipeline_code.definitions import KINDS
from tests.definitions.mutations import definition, steps_of
from tests.definitions.programs import check_arguments, check_folders


def programs() -> list[Any]:
    """Return every processing step of the model shipped that runs one of our programs."""
    return [
        pytest.param(held, id=f"{variant}-{held['Name']}")
        for variant in ("default", "model-monitor")
        for kind in KINDS
        for held in steps_of(definition(kind, variant)["Steps"])
        if held["Type"] == "Processing"
    ]


@pytest.mark.parametrize("held", programs())
def test_the_program_takes_its_arguments(held: dict[str, Any], tmp_path: Path) -> None:
    check_arguments(held, tmp_path)


@pytest.mark.parametrize("held", programs())
def test_the_program_gets_and_gives_the_folders_of_the_contract(held: dict[str, Any]) -> None:
    check_folders(held)
