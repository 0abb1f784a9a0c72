"""Ids of rows: each there, fit for a CSV file, and there once; in bounded memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..model import Model
from ..rows import SHOWN, id_fault

MOST = 1 << 22  # ids that are remembered

Digests = NDArray[np.uint64]


class Ids:
    """The ids of one file.

    An id is remembered by its digest of 64 bits. Beyond `MOST` of them, only those whose digest falls into a share are:
    a file in which ids repeat is still found out, one with a single repeated id among very many may not be.

    Attributes
    ----------
    share
        Of all ids, those that are remembered: 1 up to `MOST` ids, then a half, a quarter, ...
    """

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self._halvings = 0
        self._runs: list[Digests] = []

    @property
    def share(self) -> float:
        """Share of the ids that are remembered."""
        return 1 / (1 << self._halvings)

    def known(self, name: str) -> bool:
        """Return whether an id was added."""
        return bool(self._among(self.digests([name])).any())

    def digests(self, names: Sequence[str]) -> Digests:
        """Return the digests of those ids that are remembered."""
        return self._kept(np.fromiter(map(hash, names), np.int64, len(names)).view(np.uint64))

    def repeated(self, digests: Digests) -> int:
        """Return how many ids are there already, earlier among these or before."""
        distinct = np.unique(digests)
        return len(digests) - len(distinct) + int(np.count_nonzero(self._among(distinct)))

    def add(self, digests: Digests) -> None:
        """Remember ids."""
        distinct = np.unique(digests)
        new = distinct[~self._among(distinct)]
        # runs of falling length: each id is sorted again only as often as the number of ids doubles
        while self._runs and len(self._runs[-1]) <= 2 * len(new):
            new = np.concatenate([self._runs.pop(), new])
        if len(new):
            self._runs.append(np.sort(new))
        while sum(map(len, self._runs)) > self.most:
            self._halvings += 1
            self._runs = [run for run in map(self._kept, self._runs) if len(run)]

    def _among(self, digests: Digests) -> NDArray[np.bool_]:
        found = np.zeros(len(digests), np.bool_)
        for run in self._runs:
            places = np.minimum(np.searchsorted(run, digests), len(run) - 1)
            found |= run[places] == digests
        return found

    def _kept(self, digests: Digests) -> Digests:
        if not self._halvings:
            return digests
        kept: Digests = digests[digests & np.uint64((1 << self._halvings) - 1) == 0]
        return kept


@dataclass(frozen=True)
class IdColumn:
    """The cells of the id column in a part of a file.

    Attributes
    ----------
    cells
        Without spaces around; None for a missing one.
    fine
        Those that may identify a row.
    digests
        Of these.
    faults
        Kind of problem to how many cells have it.
    """

    cells: list[str | None]
    fine: list[str]
    digests: Digests
    faults: dict[str, int]


def look_at(found: Sequence[str | None], model: Model, ids: Ids) -> IdColumn:
    """Return what is to be said of some ids; they aren't remembered yet."""
    stripped = [None if cell is None else cell.strip() for cell in found]
    cells = [None if cell in model.missing else cell for cell in stripped]
    fine = [cell for cell in cells if cell is not None]
    faults = {"missing": len(cells) - len(fine)}
    together = "".join(fine)
    if id_fault(together):
        present = len(fine)
        fine = [cell for cell in fine if not id_fault(cell)]
        faults["type"] = present - len(fine)
    digests = ids.digests(fine)
    faults["value"] = ids.repeated(digests)
    return IdColumn(cells, fine, digests, {kind: number for kind, number in faults.items() if number})


def first_of(column: IdColumn, kind: str, ids: Ids) -> tuple[int, str]:
    """Return the first cell with a kind of problem, from 0, and what to say of it."""
    before: set[str] = set()
    for place, cell in enumerate(column.cells):
        if cell is None:
            if kind == "missing":
                return place, "every row needs an id"
            continue
        fault = id_fault(cell)
        if fault and kind == "type":
            return place, fault
        if not fault and kind == "value" and (cell in before or ids.known(cell)):
            break
        before.add(cell)
    return place, f"'{(cell or '')[:SHOWN]}' is the id of an earlier row too"
