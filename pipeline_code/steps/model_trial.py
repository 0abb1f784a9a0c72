"""Try a model out, in a process that may crash: ``python model_trial.py < xgboost-model``.

A program of its own, not a step: it loads the model from standard input, looks whether its trees are trees, scores some
rows, and writes the model to standard output as XGBoost holds it now. Exit code 1, and one line there, where the
model is no good.
"""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Iterator
from typing import Any

MEMORY = 4 << 30  # bytes of address space beside what a model needs
MEMORY_A_BYTE = 48  # of the model: it is held as a file, as trees, and as the text that is looked through
FEATURES = 100_000  # a matrix for the trial has as many columns


class Unusable(Exception):  # noqa: N818 - it says what the model is
    """The model can't be used; the message says why."""


def limit_memory(size: int) -> None:
    """Let a file that declares a huge array fail, rather than take the machine's memory."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        most = MEMORY + MEMORY_A_BYTE * size
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def attempt(content: bytes) -> bytes:
    """Load a model and score rows with it.

    Returns
    -------
    bytes
        What was looked at, in UBJSON. Only that may be loaded again: where the arrays of a tree have different lengths,
        XGBoost reads beyond their ends, and what it finds there is another thing each time.

    Raises
    ------
    Unusable
        It can't be loaded, isn't made of trees, or gives no number.
    """
    import numpy as np
    import xgboost

    try:
        booster = xgboost.Booster({"nthread": 1})
        booster.load_model(bytearray(content))
        width = booster.num_features()
        described = json.loads(bytes(booster.save_raw("json")).decode("utf-8", "replace"))
    except (xgboost.core.XGBoostError, ValueError, MemoryError, RecursionError) as error:
        raise Unusable(reason(error)) from None
    if not 0 < width <= FEATURES:
        raise Unusable(f"it has {width} features")
    for number, tree in enumerate(trees(described)):
        check_tree(tree, number, width)
    rows = np.vstack([np.full((1, width), value, dtype=np.float32) for value in (np.nan, 0, -1e30, 1e30)])
    try:
        matrix = xgboost.DMatrix(rows, nthread=1)
        for contributions in (False, True):
            scores = booster.predict(matrix, validate_features=False, pred_contribs=contributions)
            if not np.isfinite(scores).all():
                raise Unusable("its scores aren't numbers")
        return bytes(booster.save_raw("ubj"))
    except (xgboost.core.XGBoostError, ValueError, MemoryError) as error:
        raise Unusable(reason(error)) from None


def reason(error: BaseException) -> str:
    """Return what an error says first, without the place in XGBoost's sources; what follows is a trace or a drawing."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return re.sub(r"^\[[\d:]+\] \S+:\d+: ", "", lines[0] if lines else type(error).__name__)[:300]


def trees(described: Any) -> Iterator[dict[str, Any]]:
    """Yield the trees of a model, wherever its booster keeps them."""
    if isinstance(described, dict):
        for name, value in described.items():
            if name == "trees" and isinstance(value, list):
                yield from value
            else:
                yield from trees(value)


def check_tree(tree: dict[str, Any], number: int, features: int) -> None:
    """Look whether every node has both children or none, and is reached once: else scoring reads anywhere, or for ever.

    Raises
    ------
    Unusable
        It isn't so.
    """
    left, right, feature = tree["left_children"], tree["right_children"], tree["split_indices"]
    count = len(left)
    if not count or len(right) != count or len(feature) != count:
        raise Unusable(f"tree {number} has {count} and {len(right)} children of {len(feature)} nodes")
    seen = bytearray(count)
    waiting = [0]
    while waiting:
        node = waiting.pop()
        if not 0 <= node < count or seen[node]:
            raise Unusable(f"tree {number} is no tree: node {node} is not there, or is reached twice")
        seen[node] = 1
        if left[node] == -1 and right[node] == -1:
            continue
        if not 0 <= feature[node] < features:
            raise Unusable(f"tree {number} asks for feature {feature[node]} of {features}")
        waiting += [left[node], right[node]]


def main() -> int:
    """Try the model on standard input."""
    content = sys.stdin.buffer.read()
    limit_memory(len(content))
    for name in ("pandas", "sklearn"):  # three quarters of XGBoost's start-up, and nothing here uses them
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        sys.stdout.buffer.write(attempt(content))
    except Unusable as unusable:
        print(" ".join(str(unusable).split()))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
