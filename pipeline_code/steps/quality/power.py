"""What a comparison could have shown: a small batch without a finding proves little, and must not look like proof.

The shift that it is asked for moves a fifth of the rows past a value, or from one text to another: 20 points of
share. Moving a normally distributed number by half a standard deviation does that to 19.7 % of the rows.
"""

from __future__ import annotations

import math

from .chance import critical_factor
from .distance import ROBUST

SHIFT = 0.2
ENOUGH = 0.8


def of_distance(n: float, m: float, threshold: float, chance: float | None, error: float = 0.0) -> float:
    """Return at least how likely the shift is noticed in a batch of `n` items, against `m` of the baseline.

    Parameters
    ----------
    threshold
        Distance above which a feature has drifted.
    chance
        How unlikely a Robust distance must be besides; nothing with Simple.
    error
        By which the distance may be off, where a distribution is known in part.

    Notes
    -----
    Judged at the one place where the shift is largest, from 40 to 60 % of the rows, where shares vary most.
    """
    if not n or not m:
        return 0.0
    noise = math.sqrt((n + m) / (n * m))
    needed = threshold
    if chance is not None:
        needed = error + max(threshold + ROBUST * noise, critical_factor(chance) * noise)
    spread = math.sqrt((0.5 - SHIFT / 2) * (0.5 + SHIFT / 2)) * noise
    return 0.5 * math.erfc((needed - SHIFT) / spread / math.sqrt(2))


def of_chi_squared(n: float, m: float, threshold: float, freedom: int) -> float:
    """Return how likely the shift, between two values that hold half of the rows each, gives a smaller p-value."""
    if not n or not m or not freedom or threshold <= 0:
        return 0.0
    from scipy.special import chdtri, chndtr  # not at the start of every step: 0.1 s

    beyond = 2 * SHIFT**2 / 0.5 * n * m / (n + m)
    return float(1 - chndtr(chdtri(freedom, threshold), freedom, beyond))
