"""docs/settings.md says every setting, its default as it is, and an example that is right."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from stacks.section import Section
from stacks.settings import load

TEXT = (Path(__file__).resolve().parents[2] / "docs/settings.md").read_text()
ROWS = [line.split(" | ") for line in TEXT.splitlines() if line.startswith("| `")]
DEFAULTS = {name: row[1] for row in ROWS for name in re.findall(r"`([^`]+)`", row[0])}


def example() -> dict[str, Any]:
    (block,) = re.findall(r"^```json\n(.*?)^```", TEXT, re.M | re.S)
    values: dict[str, Any] = json.loads(block)
    return values


def leaves(value: object, path: str = "") -> set[str]:
    """Return the paths of the keys that hold no object themselves, ``models[].folder`` for one in a list."""
    if isinstance(value, dict):
        return {leaf for key, part in value.items() for leaf in leaves(part, f"{path}.{key}".lstrip("."))}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return {leaf for part in value for leaf in leaves(part, f"{path}[]")}
    return {path}


def read_by_the_program(values: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Return the path of every key that loading asks for: what `done` holds against the keys it refuses."""
    asked: set[str] = set()
    refuse = Section.done

    def record(section: Section) -> None:
        names = (section.name(key) for key in section._asked)
        asked.update(re.sub(r"\[\d+\]", "[]", name).removeprefix("mlops.") for name in names)
        refuse(section)

    monkeypatch.setattr(Section, "done", record)
    load(values)
    return {key for key in asked if not any(other.startswith((f"{key}.", f"{key}[")) for other in asked)}


def test_the_example_holds_every_key_that_the_program_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    assert leaves(example()) == read_by_the_program(example(), monkeypatch)


def test_the_tables_name_every_key_that_the_program_reads_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert set(DEFAULTS) == read_by_the_program(example(), monkeypatch)


@pytest.mark.parametrize(
    ("key", "default"), [(key, text.strip("`")) for key, text in DEFAULTS.items() if text.startswith("`")]
)
def test_a_default_is_what_the_program_takes(key: str, default: str) -> None:
    if key in ("delivery.branch", "delivery.by"):
        needed = {name: example()["delivery"][name] for name in ("repository", "connection_arn")}
        delivery = load({"delivery": needed}).delivery
        assert delivery is not None
        assert getattr(delivery, key.removeprefix("delivery.")) == default
    elif key.startswith("delivery."):
        needed = {name: example()["delivery"][name] for name in ("repository", "connection_arn")}
        own = {key.removeprefix("delivery."): json.loads(default)}
        assert load({"delivery": needed | own}) == load({"delivery": needed})
    elif not key.startswith("models[]") and not default.startswith("schedule"):
        values: Any = json.loads(default)
        for part in reversed(key.split(".")):
            values = {part: values}
        assert load(values) == load({})


def test_defaults_from_model_yaml_are_as_said() -> None:
    model = load({}).models[0]
    for key in ("auc", "champion_margin", "drift"):
        assert DEFAULTS[f"thresholds.{key}"] == f"model.yaml's: {getattr(model.thresholds, key):g}"
    for key in ("processing", "training", "transform"):
        said = DEFAULTS[f"models[].instance_types.{key}"]
        assert said == f"model.yaml's: {getattr(model.instance_types, key)}"
