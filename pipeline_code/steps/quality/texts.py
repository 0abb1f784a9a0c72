"""The values of a string column in bounded memory: exact while there are few, then those that are frequent."""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

EXACT = 32_768  # distinct values that are counted one by one
KEPT = 16_384  # of the frequent values, once there are more
HASHES = 1_024  # smallest digests, which tell how many distinct values there are, within about 3 %
LONGEST = 1_000  # letters of a value that is kept as it is
SHOWN = 200  # letters that a longer one begins with


def kept_text(text: str) -> str:
    """Return what a value is counted as: itself, or the beginning and digest of a very long one."""
    if len(text) <= LONGEST:
        return text
    return f"{text[:SHOWN]}... ({len(text)} letters, {_digest(text):016x})"


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest(), "big")


@dataclass
class Texts:
    """How often each value occurs.

    Attributes
    ----------
    counts
        Value to count. Once values have been dropped, a count may be up to `error` too low, and no value that occurs
        more often is missing (Misra and Gries 1982, whose summaries merge).
    total
        Of all values, kept or not.
    error
        At most ``total / KEPT``.
    smallest
        The smallest digests of all values, ascending, once values have been dropped.
    """

    counts: Counter[str] = field(default_factory=Counter)
    total: int = 0
    error: int = 0
    smallest: list[int] = field(default_factory=list)

    @property
    def exact(self) -> bool:
        """Whether every value is known with its count."""
        return not self.error

    @property
    def distinct(self) -> int:
        """How many distinct values there are; an estimate once values have been dropped."""
        if self.exact or len(self.smallest) < HASHES:
            return len(self.counts) if self.exact else len(self.smallest)
        return round((HASHES - 1) * 2**64 / (self.smallest[-1] + 1))

    @property
    def others(self) -> int:
        """How many items `counts` doesn't tell."""
        return self.total - self.counts.total()

    def add(self, found: Mapping[str, int]) -> None:
        """Add values with their counts."""
        if not self.exact:
            self._remember(found)
        counts = self.counts
        for text, number in found.items():
            counts[text] += number
            self.total += number
        self._drop()

    def merge(self, other: Texts) -> None:
        """Add what another has seen."""
        if not (self.exact and other.exact):
            for side in (self, other):
                self._remember(side.counts if side.exact else ())
            self._keep([*self.smallest, *other.smallest])
        self.counts.update(other.counts)
        self.total += other.total
        self.error += other.error
        self._drop()

    def _drop(self) -> None:
        if len(self.counts) <= EXACT:
            return
        if self.exact:
            self._remember(self.counts)
        ranked = sorted(self.counts.values(), reverse=True)
        least = ranked[KEPT]
        self.error += least
        self.counts = Counter({text: n - least for text, n in self.counts.items() if n > least})

    def _remember(self, texts: Iterable[str]) -> None:
        limit = self.smallest[-1] if len(self.smallest) == HASHES else 2**64
        self._keep([*self.smallest, *(d for d in map(_digest, texts) if d < limit)])

    def _keep(self, digests: list[int]) -> None:
        self.smallest = heapq.nsmallest(HASHES, set(digests))
