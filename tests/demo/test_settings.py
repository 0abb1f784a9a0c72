"""What installation the demo shows: that of the defaults, or one with everything switched on."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo.program import write_settings
from stacks.installation import NewNetwork
from stacks.network_settings import ENDPOINTS


@pytest.fixture(autouse=True)
def settings_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give back what the demo sets in the environment."""
    monkeypatch.setenv("MLOPS_SETTINGS", "")


def test_the_demo_is_of_the_defaults(tmp_path: Path) -> None:
    settings = write_settings(tmp_path / "settings.json")
    assert (settings.variant, settings.audit.data_events, settings.people.operators) == ("default", False, ())


def test_with_everything_it_has_people_a_network_with_all_endpoints_and_a_trail(tmp_path: Path) -> None:
    settings = write_settings(tmp_path / "settings.json", everything=True)
    assert settings.variant == "vpc"
    for stage in settings.stages:
        network = settings.stage(stage).network
        assert isinstance(network, NewNetwork)
        assert network.interface_endpoints == ENDPOINTS
        assert network.s3_prefix_list
    assert settings.audit.data_events
    people = settings.people
    assert all((people.approvers, people.data_scientists, people.operators))
