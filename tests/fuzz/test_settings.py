"""Settings of every kind of wrongness: they load, or end in one line that fits a terminal.

`tests.fuzz.fuzzing` says how to run more examples.
"""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st

from stacks import settings
from stacks.installation import Settings
from stacks.section import SettingsError
from tests.fuzz.fuzzing import fuzz, one_line

ROOT = Path(__file__).parents[2]
VALID: dict[str, Any] = {
    "accounts": {"registry": "3" * 12, "dev": "1" * 12, "staging": "4" * 12, "prod": "2" * 12},
    "region": "eu-central-1",
    "people": {"approvers": ["arn:aws:iam::333333333333:role/Lead"], "operators": [], "require_mfa": False},
    "email": "team@example.com",
    "network": {
        stage: {"subnets": [f"subnet-{one * 17}" for one in "ab"], "security_group": "sg-" + "0" * 17}
        for stage in ("dev", "staging", "prod")
    },
    "monitor": "own",
    "alert_topic_name": "alerts",
    "schedule": {"expression": "rate(1 day)", "time_zone": "Europe/Berlin", "flexible_minutes": 5, "enabled": True},
    "thresholds": {"auc": 0.9, "champion_margin": 0.01, "drift": 0.1},
    "retrain_on": "violation",
    "predictions_on_drift": "deliver",
    "reminder_days": 3,
    "models": [{"folder": "mammography", "batch": "{date}/", "instance_types": {"training": "ml.m5.large"}}],
    "delivery": {
        "by": "codepipeline", "repository": "owner/name", "branch": "main", "approve_versions": True,
        "connection_arn": "arn:aws:codeconnections:eu-central-1:333333333333:connection/" + "1" * 36,
    },
    "audit": {"data_events": True, "keep_days": 30},
    "throw_away": False,
}  # fmt: skip
# Text that means something to a shell, a terminal, a path, a template, or to CDK.
TEXTS = [
    *("", " ", "x", "a\nb", "\x1b[31m", "\ud800", "\u202e", "caf\u00e9", "true", "null", "a" * 100_000),
    *("../../..", "/etc/passwd", "$(touch escaped)", "`id`", "${Token[1]}", "{date}", "eu-central-1 ", "EU"),
    *("1111111111111", "11111111111", "\u0661" * 12, "111111111111\n", "rate(0 days)", "cron(* * * * * *)"),
    *("arn:aws:iam::333333333333:root", "arn:aws:iam::\u0663" + "3" * 11 + ":root"),
]
values = st.recursive(
    st.sampled_from(
        [None, True, False, 0, 1, -1, 7, 10**30, 0.5, 1e308, float("nan"), float("inf"), 111111111111, *TEXTS]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(TEXTS), inner, max_size=3),
    max_leaves=4,
)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each place in a JSON value: its holder and its key."""
    if isinstance(value, dict | list):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from places(value[key])


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """Return valid settings with one to three changes."""
    result = copy.deepcopy(VALID)
    for _ in range(draw(st.sampled_from([1, 1, 1, 2]))):
        found = list(places(result))
        if not found:
            break
        holder, key = draw(st.sampled_from(found))
        match draw(st.sampled_from(["set", "set", "drop", "key", "move"])):
            case "set":
                holder[key] = draw(values)
            case "drop":
                del holder[key]
            case "key" if isinstance(holder, dict):
                holder[draw(st.sampled_from([*TEXTS, "accounts", "folder"]))] = draw(values)
            case _:
                other, place = draw(st.sampled_from(found))
                holder[key] = (
                    copy.deepcopy(other[place]) if place in other or isinstance(other, list) else None
                )
    return result


def loaded(value: object) -> Settings | None:
    """Load settings; None where they are refused, in a line that anybody can read."""
    try:
        return settings.load(value)
    except SettingsError as error:
        line = str(error)
    assert one_line(line), line
    assert len(line) < 1000
    line.encode()
    return None


def test_the_settings_that_are_changed_load() -> None:
    assert settings.load(VALID).accounts["staging"] == "4" * 12


@fuzz(300)
@given(mutated() | mutated() | values)
@example({"accounts": {"dev": "\u0661" * 12}})
@example({"a\nb": 1})
@example({"region": "x" * 100_000})
@example({"people": {"approvers": ["arn:aws:iam::333333333333:role/a\n"]}})
def test_settings_load_or_end_in_one_line(value: object) -> None:
    found = loaded(value)
    event("loads" if found else "is refused")
    if found is not None:
        for text in (*found.accounts.values(), found.region, found.alert_topic_name, *found.people.approvers):
            assert text.isascii()
            assert text.isprintable()
        assert all(len(account) == 12 for account in found.accounts.values())


@pytest.mark.parametrize(
    "content",
    [b"", b"[", b"\xff\xfe", b"[" * 200_000, b'{"region": NaN}', b"null", b"[]", b"{}{}", b'{"a": "' + b"x" * 10**6],
    ids=["empty", "cut", "bytes", "deep", "nan", "null", "list", "two", "long"],
)  # fmt: skip
def test_a_file_of_settings_that_is_none_ends_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    path = tmp_path / "settings.json"
    path.write_bytes(content)
    monkeypatch.setenv("MLOPS_SETTINGS", str(path))
    with pytest.raises(SettingsError) as error:
        settings.load()
    assert one_line(str(error.value))


@pytest.mark.parametrize("path", [".", "/", "/dev/null/x", "a\nb", "x" * 5000, "/proc/self/mem"])
def test_a_path_of_settings_that_is_none_ends_in_one_line(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setenv("MLOPS_SETTINGS", path)
    with pytest.raises(SettingsError) as error:
        settings.load()
    assert one_line(str(error.value))


def test_the_app_itself_says_what_is_wrong_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text(json.dumps({"accounts": {"dev": "x\n" * 1000}}))
    done = subprocess.run(
        [sys.executable, "-m", "ops", "versions"],
        cwd=ROOT, capture_output=True, text=True, timeout=60, env={"MLOPS_SETTINGS": str(path), "HOME": str(tmp_path)},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert one_line(done.stderr)
