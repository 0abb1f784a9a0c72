"""Whole templates: no change of a stack goes unnoticed. `make snapshots` rewrites them after an intended one."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from tests.stacks.installations import template

FOLDER = Path(__file__).resolve().parent / "snapshots"
STACKS = [
    ("default", "RegistryStack"),
    ("default", "DevStack"),
    ("default", "ProdStack"),
    ("full", "RegistryStack"),
    ("full", "DevStack"),
    ("full", "StagingStack"),
    ("full", "ProdStack"),
    ("full", "DeliveryStack"),
    ("delivered", "DeliveryStack"),
    ("new-network", "DevStack"),
]


def without_digests(found: dict[str, Any]) -> str:
    """Return a template with the digests of assets masked: code changes are other tests' business."""
    text = json.dumps(found, indent=1, sort_keys=True)
    # the delivery pipeline names an asset's destination with a short digest of its own
    text = re.sub(r"(\d{12}-[a-z0-9-]+)-[0-9a-f]{8}\b", r"\1-<digest>", text)
    return re.sub(r"[0-9a-f]{64}", "<sha256>", text) + "\n"


@pytest.mark.parametrize(("installation", "stack"), STACKS)
def test_the_template_is_the_reviewed_one(installation: str, stack: str) -> None:
    path = FOLDER / f"{installation}-{stack}.json"
    actual = without_digests(template(installation, stack))
    if os.environ.get("UPDATE_SNAPSHOTS"):
        FOLDER.mkdir(exist_ok=True)
        path.write_text(actual)
    assert actual == path.read_text(), (
        "the template has changed; look at the difference, then: make snapshots"
    )
