"""The compiled definitions as a feature branch's custom resource writes them."""

from __future__ import annotations

import json
import re

import pytest

from pipeline_code import definitions
from sagemaker_pipeline.definition import render
from stacks.branch import Branch
from stacks.settings import load


@pytest.mark.parametrize("variant", ["default", "vpc", "model-monitor", "model-monitor-vpc"])
@pytest.mark.parametrize("kind", ["train", "inference"])
def test_no_job_of_a_branch_has_a_name_that_mains_roles_are_narrowed_to(variant: str, kind: str) -> None:
    model = Branch("feature/faster-trees").model(load({}).models[0])
    assert model.branch_of is not None
    compiled = getattr(definitions.load("mammography", variant), kind)
    source = json.loads(compiled.read_text())
    for parameter in source["Parameters"]:
        parameter.setdefault("DefaultValue", "x")
    functions = {"ModelResolver": "arn:1", "RunRecorder": "arn:2"}
    renames = {model.branch_of.prefix: model.branch_of.job_prefix}
    rendered = render(json.dumps(source), {}, functions, renames)
    named = re.findall(r'"(?:[A-Za-z]+JobName|ModelName)":"([^"]+)"', rendered)
    assert len(named) >= 3
    assert {name.startswith(f"mammo-severity--5a33e00a-{kind}-") for name in named} == {True}
    assert "mammo-severity-train" not in rendered
    assert "mammo-severity-inference" not in rendered
