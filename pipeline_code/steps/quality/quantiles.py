"""The distribution of a column of numbers in bounded memory: exact while it can be, mergeable always.

Up to `EXACT` distinct values are counted one by one. Beyond, values are sorted in chunks, each chunk leaves every
eighth of its values, and two such buffers of one weight become one of twice the weight (Manku, Rajagopalan and Lindsay
1998; a KLL sketch draws lots instead). Nothing is left to chance: how far a rank may be off is counted along.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .profile import Floats, Points

Counts = NDArray[np.int64]

EXACT = 32_768  # distinct values that are counted one by one
CHUNK = 65_536  # values that are sorted at a time: they fit into a processor's cache
KEPT = 8_192  # values of a buffer
FIRST = (CHUNK // KEPT).bit_length() - 1  # level of a chunk's buffer: each value stands for 2^FIRST items


def _no_values() -> Floats:
    return np.empty(0)


def _no_counts() -> Counts:
    return np.empty(0, np.int64)


@dataclass
class Moments:
    """Number, mean, squared deviations and extremes; those of two parts add up."""

    number: int = 0
    mean: float = 0.0
    squares: float = 0.0
    minimum: float = math.inf
    maximum: float = -math.inf

    def add(self, other: Moments) -> None:
        """Add the moments of another part."""
        if not other.number:
            return
        total = self.number + other.number
        apart = other.mean - self.mean
        self.squares += other.squares + apart * (apart * (self.number / total) * other.number)
        self.mean += apart * (other.number / total)
        self.number = total
        self.minimum = min(self.minimum, other.minimum)
        self.maximum = max(self.maximum, other.maximum)

    @classmethod
    def of(cls, numbers: Floats) -> Moments:
        """Return the moments of some numbers."""
        if not len(numbers):
            return cls()
        # from a value of their own: the squares of large numbers would lose the deviations
        shift = float(numbers[0])
        with np.errstate(over="ignore", invalid="ignore"):
            moved = numbers - shift
            mean = float(moved.mean())
            # no np.dot: its library would start threads for arrays of this size, which cost more than they do
            squares = max(0.0, float(np.square(moved, out=moved).sum()) - len(moved) * mean * mean)
        return cls(len(numbers), shift + mean, squares, float(numbers.min()), float(numbers.max()))


@dataclass
class Quantiles:
    """The ranks of numbers.

    Attributes
    ----------
    values, counts
        The distribution of what has been sorted, while it has at most `EXACT` values; empty after that.
    buffers
        Level to `KEPT` sorted values, each of which stands for 2^level items.
    over, under
        By how many items a rank may be too high or too low.
    waiting
        Values that no chunk has been made of yet, fewer than `CHUNK`.
    """

    values: Floats = field(default_factory=_no_values)
    counts: Counts = field(default_factory=_no_counts)
    buffers: dict[int, Floats] = field(default_factory=dict)
    over: int = 0
    under: int = 0
    waiting: Floats = field(default_factory=_no_values)
    _parts: list[Floats] = field(default_factory=list)
    _bins: Counts | None = None
    _low: int = 0
    _sorts: bool = False

    @property
    def exact(self) -> bool:
        """Whether every value is known with its count."""
        return not self.buffers

    def add(self, numbers: Floats, least: float, most: float) -> None:
        """Add finite numbers whose extremes are known."""
        if not len(numbers) or self._binned(numbers, least, most):
            return
        self._parts.append(numbers)
        if len(self.waiting) + sum(map(len, self._parts)) >= CHUNK:
            self._gather()

    def settle(self) -> None:
        """Bring everything into values, counts, buffers and fewer than a chunk of waiting values."""
        if self._bins is not None:
            held = np.flatnonzero(self._bins)
            values, counts = (held + self._low).astype(np.float64), self._bins[held]
            self._bins = None
            self._take(values, counts)
        self._sorts = True
        self._gather()

    def merge(self, other: Quantiles) -> None:
        """Add what another has seen; it is left settled."""
        self.settle()
        other.settle()
        self.over += other.over
        self.under += other.under
        for level, buffer in sorted(other.buffers.items()):
            if self.exact:
                self._thin_what_is_held()
            self._push(level, buffer)
        self._take(other.values, other.counts)
        self._parts.append(other.waiting)
        self._gather()

    def points(self) -> Points:
        """Return the distribution, with how far its ranks may be off."""
        self.settle()
        values = [self.values, *self.buffers.values(), self.waiting]
        weights = [
            self.counts,
            *(np.full(len(buffer), 1 << level) for level, buffer in self.buffers.items()),
            np.ones(len(self.waiting), np.int64),
        ]
        held, weight = np.concatenate(values), np.concatenate(weights)
        order = np.argsort(held)
        values_held, counts = _run_totals(held[order], weight[order])
        error = max(self.over, self.under) / max(1, int(counts.sum()))
        return Points(values_held, counts.astype(np.float64), error=error)

    def _binned(self, numbers: Floats, least: float, most: float) -> bool:
        """Count whole numbers of a narrow range in bins, without sorting; return whether they are such."""
        if self._sorts:
            return False
        if self._bins is None:
            fits = most - least <= EXACT // 2 and max(abs(least), abs(most)) < 2**52
            self._low = math.floor(least) - EXACT // 4 if fits else 0
        else:
            fits = self._low <= least and most < self._low + EXACT
        if fits:
            places = (numbers - self._low).astype(np.int32)
            if bool(
                (places + float(self._low) == numbers).all()
            ):  # not the other way: a tiny part would be lost
                found = np.bincount(places, minlength=EXACT)
                self._bins = found if self._bins is None else np.add(self._bins, found, out=self._bins)
                return True
        self.settle()
        return False

    def _gather(self) -> None:
        """Make chunks of what waits."""
        held = np.concatenate([self.waiting, *self._parts])
        self._parts = []
        whole = len(held) // CHUNK * CHUNK
        # a copy: what waits on must not hold the block that it came from
        self.waiting = held[whole:].copy() if whole else held
        for start in range(0, whole, CHUNK):
            chunk = held[start : start + CHUNK]
            chunk.sort()  # in place: what was put together here belongs to nobody else
            if self.exact:
                self._take(*_run_totals(chunk, np.ones(CHUNK, np.int64)))
            else:
                half = 1 << FIRST - 1
                self.over += half
                self.under += half
                self._push(FIRST, chunk[half :: 2 * half].copy())
        if len(self.waiting) >= CHUNK:  # thinning has left more of it
            self._gather()

    def _take(self, values: Floats, counts: Counts) -> None:
        """Take ascending values with their counts."""
        if self.exact:
            self.values, self.counts = _added(self.values, self.counts, values, counts)
            if len(self.values) > EXACT:
                self._thin_what_is_held()
        else:
            self._thin(values, counts)

    def _thin_what_is_held(self) -> None:
        values, counts = self.values, self.counts
        self.values, self.counts = _no_values(), _no_counts()
        self._thin(values, counts)

    def _thin(self, values: Floats, counts: Counts) -> None:
        """Turn counted values into buffers, the heaviest first; what is left over waits."""
        up_to = np.cumsum(counts)
        at, total = 0, int(counts.sum())
        widest = 0
        while total - at >= CHUNK:
            level = ((total - at) // KEPT).bit_length() - 1
            ranks = at + (1 << level - 1) + (np.arange(KEPT, dtype=np.int64) << level)
            self._push(level, values[np.searchsorted(up_to, ranks, side="right")])
            widest = max(widest, 1 << level - 1)
            at += KEPT << level
        # a rank lies in one of these stretches, and those before it are exact: the errors don't add up
        self.over += widest
        self.under += widest
        rest = np.minimum(counts, np.maximum(up_to - at, 0))
        self.waiting = np.concatenate([self.waiting, np.repeat(values, rest)])

    def _push(self, level: int, buffer: Floats) -> None:
        """Add a full buffer; two of one level become one of the next."""
        while level in self.buffers:
            merged = np.concatenate([self.buffers.pop(level), buffer])
            merged.sort()
            # every other value, from the side that evens out the error
            if self.over > self.under:
                self.under += 1 << level
                buffer = merged[1::2]
            else:
                self.over += 1 << level
                buffer = merged[::2]
            level += 1
        self.buffers[level] = buffer


def _run_totals(values: Floats, counts: Counts) -> tuple[Floats, Counts]:
    """Return the distinct values of a sorted array, and the total of each one's counts."""
    if not len(values):
        return values, counts
    starts = np.flatnonzero(np.concatenate(([True], values[1:] != values[:-1])))
    return values[starts], np.add.reduceat(counts, starts)


def _added(values: Floats, counts: Counts, more: Floats, times: Counts) -> tuple[Floats, Counts]:
    """Return two counted distributions as one."""
    if not len(values):
        return more, times.astype(np.int64)
    places = np.searchsorted(values, more)
    known = values[np.minimum(places, len(values) - 1)] == more
    counts = counts.copy()
    counts[places[known]] += times[known]
    if bool(known.all()):
        return values, counts
    new = ~known
    return np.insert(values, places[new], more[new]), np.insert(counts, places[new], times[new])
