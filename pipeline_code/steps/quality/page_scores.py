"""What the verdict lists among its features without being one: the scores, and what they come from, in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

# As predictions.py calls them; that module needs more than the standard library.
PREDICTION, ATTRIBUTIONS = "(prediction)", "(attributions)"
_MEANT = {
    PREDICTION: "the scores the version gives",
    ATTRIBUTIONS: "how much of what the features contribute to the scores has moved to other features",
}


def of_the_scores(item: dict[str, Any]) -> bool:
    """Return whether an item of the verdict's features is about the scores."""
    return str(item.get("name")) in _MEANT


def of_the_model(features: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the features that the model has."""
    return [item for item in features if not of_the_scores(item)]


def drifted_scores(features: Iterable[dict[str, Any]]) -> list[str]:
    """Return what has drifted about the scores, as the headline names it."""
    drifted = {str(item.get("name")) for item in features if of_the_scores(item) and item.get("drifted")}
    if drifted == {PREDICTION, ATTRIBUTIONS}:
        return ["the version's scores", "what they come from"]
    named = {PREDICTION: "the version's scores", ATTRIBUTIONS: "what the version's scores come from"}
    return [told for key, told in named.items() if key in drifted]


def states(features: Iterable[dict[str, Any]]) -> list[str]:
    """Return a line about each of the two that was compared, for the tile that counts the features."""
    words = {PREDICTION: "the scores", ATTRIBUTIONS: "what they come from"}
    found = {str(item.get("name")): bool(item.get("drifted")) for item in features}
    return [
        f"{told}: {'▲ drifted' if found[key] else 'no drift'}" for key, told in words.items() if key in found
    ]


def explained(names: Sequence[Any]) -> str:
    """Return what those of the two mean that are among the names."""
    told = "; ".join(f"{key}: {meant}" for key, meant in _MEANT.items() if key in names)
    return f'<p class="note" id="explained">{told}.</p>' if told else ""
