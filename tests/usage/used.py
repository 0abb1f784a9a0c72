"""What is used: recordings of the embedded cloud, reduced to what doesn't change from run to run."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from tests.usage import names
from tests.usage.granted import Grant

FILE = Path(__file__).with_name("used.json")
#: What was recorded: the test suite, the demo, the rehearsal. In this order the file says each use once.
SOURCES = ("tests", "demo", "rehearsal")


class Use(NamedTuple):
    """An action that somebody was let do on something."""

    holder: str
    action: str
    resource: str


Uses = dict[str, frozenset[Use]]  # by source


def read(recording: Path) -> frozenset[Use]:
    """Return what a recording says was allowed to roles of ours and to services.

    What a test tried with a stolen session doesn't count: it would make a use of what nobody needs.
    """
    found = set()
    with recording.open() as lines:
        for line in lines:
            one = json.loads(line)
            holder = names.holder(one["principal"])
            if one["allowed"] and holder and not one["stolen"]:
                found.add(Use(holder, one["action"], names.place(one["resource"])))
    return frozenset(found)


def load(file: Path = FILE) -> Uses:
    """Return the committed uses."""
    return {
        source: frozenset(
            Use(holder, action, resource)
            for holder, actions in holders.items()
            for action, resources in actions.items()
            for resource in resources
        )
        for source, holders in json.loads(file.read_text()).items()
    }


def save(uses: Uses, grants: Iterable[Grant], file: Path = FILE) -> None:
    """Write uses, each under the first source that has it; what nothing grants is left out.

    Parameters
    ----------
    uses
        By source.
    grants
        What is granted.
    file
        Where to.
    """
    known = list(grants)
    written: dict[str, dict[str, dict[str, list[str]]]] = {}
    seen: set[Use] = set()
    for source in SOURCES:
        part = written.setdefault(source, {})
        for use in sorted(uses.get(source, frozenset()) - seen):
            if any(grant.covers(*use) for grant in known):
                part.setdefault(use.holder, {}).setdefault(use.action, []).append(use.resource)
        seen |= uses.get(source, frozenset())
    file.write_text(json.dumps(written, indent=1) + "\n")


def exercised(grants: Iterable[Grant], uses: Iterable[Use]) -> frozenset[Grant]:
    """Return the grants that are used."""
    by_holder: dict[str, list[Use]] = {}
    for use in uses:
        by_holder.setdefault(use.holder, []).append(use)
    return frozenset(
        grant for grant in grants if any(grant.covers(*use) for use in by_holder.get(grant.holder, ()))
    )
