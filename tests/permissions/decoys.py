"""Things that are nobody's to reach, or that show what one side of a path alone would allow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from tests.permissions.world import IMAGES_ACCOUNT, STRANGER, Thing


def of_a_stranger(things: Iterable[Thing]) -> Iterator[Thing]:
    """Yield what a stranger may call as ours are called, and open to us: what we write there, they have."""
    for thing in things:
        parts = thing.arn.split(":", 5)
        # A name that holds the account's id may be kept or not.
        named = thing.arn.replace(thing.account, STRANGER)
        kept = ":".join([*parts[:4], STRANGER, parts[5]]) if thing.kind != "account" and parts[4] else named
        for arn in sorted({named, kept} - {thing.arn}):
            noun = f"a stranger's {thing.noun}"
            yield replace(thing, noun=noun, arn=arn, account=STRANGER, stage=None, model=None, generous=True)


def opened(things: Iterable[Thing], registry: str) -> Iterator[Thing]:
    """Yield what other accounts reach, as if its own policy let them: both sides are to hold alone."""
    shared = {"object", "folder", "group", "version", "key", "images"}
    for thing in things:
        if thing.noun == "contested artifacts":
            continue  # only the bucket speaks of these
        if thing.noun == "checker role":
            yield replace(thing, generous=True, opened=True)
        if thing.kind in shared and thing.account in (registry, IMAGES_ACCOUNT) and not thing.generous:
            yield replace(thing, generous=True, opened=True)


def what_aws_may_add(things: Iterable[Thing]) -> list[Thing]:
    """Return things of no type that there is yet, beside ours: a permission isn't to reach further than it must."""
    found: list[Thing] = []
    for thing in things:
        parts = thing.arn.split(":", 5)
        if thing.kind == "execution":
            arn = thing.arn.replace("/execution/", "/other/")
        elif thing.kind in ("key", "pipeline", "interface", "group", "version") and "/" in parts[5]:
            arn = ":".join([*parts[:5], f"other-{parts[5]}"])
        else:
            continue
        found.append(replace(thing, noun=f"something like the {thing.noun}", arn=arn, stage=None, model=None))
    return found
