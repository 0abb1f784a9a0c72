"""Which versions prod uses where an approval alone isn't enough: they must be released too."""

from __future__ import annotations

from typing import Any

import pytest

from model_resolver.handler import Resolver, Settings, resolve
from model_resolver.versions import NoApprovedModel, VersionNotApproved, find_version, newest_approved
from tests.handlers.fake_aws import FakeSageMaker, group_arn

GROUP = "severity-package"
RELEASED = {"Stage": "prod", "StageStatus": "released"}
WITHDRAWN = {"Stage": "prod", "StageStatus": "withdrawn"}
WAITS = "is approved and waits for its release to prod"


def versions(*lives: dict[str, str] | None, status: str = "Approved") -> FakeSageMaker:
    """A registry with one version for each of these life cycles."""
    made = FakeSageMaker()
    for life in lives:
        more: dict[str, Any] = {} if life is None else {"ModelLifeCycle": life}
        made.add_version(GROUP, status, **more)
    return made


def found(registry: FakeSageMaker, wanted: str = "newest_approved") -> int:
    version, _ = find_version(registry, group_arn(GROUP), wanted, only_approved=True, only_released=True)
    return version.number


def resolver(registry: FakeSageMaker) -> Resolver:
    settings = Settings("prod", "model", "data", only_approved=True, only_released=True)

    def no_bucket(name: str) -> Any:
        raise AssertionError(f"looked into {name}")

    return Resolver(settings, registry, no_bucket)


def test_the_newest_that_is_approved_and_released_is_used() -> None:
    registry = versions(RELEASED, RELEASED, WITHDRAWN, None)
    assert found(registry) == 2
    assert found(registry, "1") == 1


def test_a_release_is_no_approval() -> None:
    registry = versions(RELEASED, status="Rejected")
    with pytest.raises(NoApprovedModel, match="has no approved version: train one, then approve it"):
        found(registry)
    with pytest.raises(VersionNotApproved, match=r"version 1 of .* is Rejected"):
        found(registry, "1")


@pytest.mark.parametrize("life", [None, WITHDRAWN, {"Stage": "staging", "StageStatus": "released"}])
def test_a_version_that_waits_for_its_release_is_not_used_and_the_message_says_so(
    life: dict[str, str] | None,
) -> None:
    registry = versions(life)
    with pytest.raises(NoApprovedModel, match=f"has no released version: version 1 {WAITS}"):
        found(registry)
    for wanted in ("1", "newest"):
        with pytest.raises(VersionNotApproved, match=rf"version 1 of .* {WAITS}"):
            found(registry, wanted)


def test_where_no_release_is_asked_for_an_approval_is_enough() -> None:
    newest = newest_approved(versions(RELEASED, None), group_arn(GROUP))
    assert newest is not None
    assert newest[0].number == 2


def test_both_steps_hold_to_it() -> None:
    registry = versions(None)
    event = {"model_package_group_arn": group_arn(GROUP), "none_uri": "s3://code/none"}
    answer = resolve(resolver(registry), {**event, "action": "resolve_champion"})
    assert answer == {"champion_version": "none", "champion_uri": "s3://code/none"}
    with pytest.raises(NoApprovedModel, match=WAITS):
        resolve(
            resolver(registry), {**event, "action": "resolve_model", "transform_input": "s3://data/batch"}
        )


@pytest.mark.parametrize(
    ("said", "rules"),
    [("approved", (True, False)), ("released", (True, True)), ("any", (False, False)), (None, (True, False))],
)
def test_which_versions_are_used_stands_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, said: str | None, rules: tuple[bool, bool]
) -> None:
    known = {"STAGE": "prod", "MODEL_NAME": "model", "DATA_BUCKET": "data"}
    for name, value in (known if said is None else {**known, "VERSIONS": said}).items():
        monkeypatch.setenv(name, value)
    settings = Settings.load()
    assert (settings.only_approved, settings.only_released) == rules
