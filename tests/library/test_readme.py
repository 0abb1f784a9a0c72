"""Every example of the library's README synthesizes, with narrow policies."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import cdk_mlops
from tests.library.library_app import DEFINITION
from tests.library.policy_audit import findings

README = (Path(__file__).parents[2] / "constructs" / "README.md").read_text()
SECTIONS = re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", README, re.MULTILINE | re.DOTALL)
EXAMPLES = {title: "\n".join(re.findall(r"```python\n(.*?)```", body, re.DOTALL)) for title, body in SECTIONS}
SHARED = EXAMPLES.pop("What all examples share")


@pytest.mark.parametrize("title", EXAMPLES)
def test_the_example_synthesizes(title: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "definitions").mkdir()
    (tmp_path / "definitions" / "train.json").write_text(json.dumps(DEFINITION))
    (tmp_path / "steps").mkdir()
    (tmp_path / "steps" / "step.py").write_text("print('a step')\n")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(SHARED, names)  # noqa: S102 - the README's own code
    before = len(names["stack"].node.find_all())
    exec(EXAMPLES[title], names)  # noqa: S102 - the README's own code
    stacks = names["app"].synth().stacks
    made = len(names["stack"].node.find_all()) - before
    assert made > 0 or len(stacks) > 1, "the example makes nothing"
    for stack in stacks:
        assert findings(stack.template) == []


def test_every_construct_is_in_the_readme() -> None:
    missing = [name for name in cdk_mlops.__all__ if name not in README and name not in BASES]
    assert missing == []


# Types of props and results, which nobody makes by name.
BASES = {"ALLOW_DESTROY", "DataBucket", "FailedStep", "ModelRegistry", "Pipeline", "PipelineDefinition"} | {
    "PipelineUsers",
    "SharedKey",
    "TopicForAlerts",
}
