"""A definition whose jobs lack what their roles demand is refused before anybody deploys it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from pipeline_code.validate import errors
from pipeline_code.variants import VARIANTS
from tests.definitions.mutations import definition, errors_after, step, steps_of

FLAGS = ("EnableNetworkIsolation", "EnableInterContainerTrafficEncryption")
SAFEGUARDS = {*FLAGS, "VpcConfig", "VolumeKmsKeyId", "KmsKeyId"}


def safeguards(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every safeguard below a value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        if key in SAFEGUARDS:
            yield (*above, key)
        yield from safeguards(part, (*above, key))


def without(body: dict[str, Any], path: tuple[Any, ...]) -> dict[str, Any]:
    """Return a copy of a definition without one part."""
    copied: dict[str, Any] = json.loads(json.dumps(body))
    at: Any = copied
    for part in path[:-1]:
        at = at[part]
    del at[path[-1]]
    return copied


@pytest.mark.parametrize("kind", ["train", "inference", "quality"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_no_safeguard_of_any_job_can_be_left_out(kind: str, variant: str) -> None:
    body = definition(kind, variant)
    found = list(safeguards(body["Steps"]))
    jobs = [
        one for one in steps_of(body["Steps"]) if one["Type"] in ("Processing", "QualityCheck", "Training")
    ]
    assert len(found) >= len(jobs) * (5 if VARIANTS[variant].vpc else 4)
    for path in found:
        *_, holder, last = path
        # The one flag that is there to say no: Model Monitor's container.
        if last == "EnableNetworkIsolation" and _at(body["Steps"], path) is False:
            continue
        said = errors(
            json.dumps({**body, "Steps": without({"Steps": body["Steps"]}, ("Steps", *path))["Steps"]})
        )
        # a network's parameters may have no other use
        said = [line for line in said if not line.endswith("no step uses it")]
        assert len(said) == 1, (path, said)
        assert last in said[0], holder


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for part in path:
        value = value[part]
    return value


@pytest.mark.parametrize("flag", FLAGS)
@pytest.mark.parametrize(
    ("kind", "name"), [("train", "Train"), ("train", "Eval"), ("inference", "DataQualityCheck")]
)
def test_a_safeguard_can_not_be_turned_off_or_left_to_whoever_starts_the_run(
    kind: str, name: str, flag: str
) -> None:
    for value in (False, {"Get": "Parameters.Rescore"}):

        def change(body: dict[str, Any], value: Any = value) -> None:
            body["Parameters"].append({"Name": "Off", "Type": "Boolean", "DefaultValue": True})
            given = {"Get": "Parameters.Off"} if isinstance(value, dict) else value
            arguments = step(body, name)["Arguments"]
            arguments.get("NetworkConfig", arguments)[flag] = given

        assert any(f"{flag} must be true" in error for error in errors_after(change, kind)), value


def test_model_monitors_container_needs_no_isolation_but_all_the_rest() -> None:
    def change(body: dict[str, Any]) -> None:
        network = step(body, "DataQualityCheck")["Arguments"]["NetworkConfig"]
        assert network["EnableNetworkIsolation"] is False
        network["EnableInterContainerTrafficEncryption"] = False
        del network["VpcConfig"]

    said = errors_after(change, "inference", "model-monitor-vpc")
    assert [error.split(": ", 1)[0] for error in said] == ["step Mammo-DataQualityCheck"] * 2
    assert "EnableInterContainerTrafficEncryption" in said[0]
    assert "VpcConfig" in said[1]
