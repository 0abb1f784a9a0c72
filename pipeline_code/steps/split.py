"""The hold-out: which rows no model ever trains on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from .model import Holdout, Value, value_text


def is_held_out(features: Sequence[Value | None], holdout: Holdout) -> bool:
    """Tell whether a row belongs to the hold-out.

    A salted hash of the row's own repaired features decides, and nothing else: the answer never changes as
    data grow, and rows with the same features stay on the same side, whatever their label. So a champion
    has trained on no row of a later hold-out.

    Parameters
    ----------
    features
        Repaired values in the model's order; None for a missing one.
    """
    text = "\x1f".join([holdout.salt, *(value_text(value) for value in features)])
    first = hashlib.sha256(text.encode()).digest()[:8]
    return int.from_bytes(first, "big") < holdout.fraction * 2**64
