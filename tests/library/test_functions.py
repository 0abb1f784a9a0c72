"""The functions of the templates and the handlers in the asset fit together."""

from __future__ import annotations

import re
from typing import Any

import pytest

from cdk_mlops._functions import HANDLERS
from tests.library.library_app import (
    delivery_template,
    passing_template,
    registry_template,
    resources,
    stage_template,
)

FUNCTIONS: dict[str, dict[str, Any]] = {}


def function(folder: str) -> dict[str, Any]:
    for template in (registry_template(), stage_template(), passing_template(), delivery_template()):
        for resource in resources(template, "AWS::Lambda::Function").values():
            FUNCTIONS[resource["Properties"]["Handler"].split(".")[0]] = resource["Properties"]
    return FUNCTIONS[folder]


@pytest.mark.parametrize("folder", sorted(path.parent.name for path in HANDLERS.glob("*/handler.py")))
def test_a_handler_is_given_the_variables_that_it_reads_and_no_others(folder: str) -> None:
    given = set(function(folder)["Environment"]["Variables"])
    read = set(re.findall(r'"([A-Z]+(?:_[A-Z]+)*)"', (HANDLERS / folder / "handler.py").read_text()))
    assert given - {"METRIC_NAMESPACE"} == read - {"METRIC_NAMESPACE"}


def test_every_function_has_a_handler() -> None:
    function("retrain")
    for folder, properties in FUNCTIONS.items():
        assert properties["Handler"] == f"{folder}.handler.handle"
        assert "def handle(" in (HANDLERS / folder / "handler.py").read_text()


def test_functions_run_on_arm_and_a_python_that_lambda_has() -> None:
    properties = function("model_resolver")
    assert (properties["Architectures"], properties["Runtime"]) == (["arm64"], "python3.14")


def test_all_functions_are_one_asset() -> None:
    function("retrain")
    keys = {properties["Code"]["S3Key"] for properties in FUNCTIONS.values()}
    assert len(keys) == 1
