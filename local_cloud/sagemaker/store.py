"""All that the service remembers, by kind, account, region and name."""

from __future__ import annotations

import copy
import threading
from typing import Any

from local_cloud.sagemaker.arns import Reference, Scope

Record = dict[str, Any]
_Key = tuple[str, str, str]


class Store:
    """Records of resources; names are found whatever their case, as SageMaker's are.

    Attributes
    ----------
    lock
        To be held by whoever reads and then writes.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._tables: dict[str, dict[_Key, Record]] = {}

    @staticmethod
    def _key(reference: Reference) -> _Key:
        return reference.scope.account, reference.scope.region, reference.name.lower()

    def get(self, reference: Reference) -> Record | None:
        """Return the record of a resource, or None."""
        with self.lock:
            return self._tables.get(reference.kind, {}).get(self._key(reference))

    def put(self, reference: Reference, record: Record) -> None:
        """Keep the record of a resource."""
        with self.lock:
            self._tables.setdefault(reference.kind, {})[self._key(reference)] = record

    def remove(self, reference: Reference) -> None:
        """Forget a resource."""
        with self.lock:
            self._tables.get(reference.kind, {}).pop(self._key(reference), None)

    def records(self, kind: str, scope: Scope) -> list[Record]:
        """Return the records of a kind in an account and region, oldest first."""
        with self.lock:
            owner = (scope.account, scope.region)
            return [record for key, record in self._tables.get(kind, {}).items() if key[:2] == owner]

    def all_records(self, kind: str) -> list[Record]:
        """Return the records of a kind in all accounts and regions."""
        with self.lock:
            return list(self._tables.get(kind, {}).values())

    def snapshot(self) -> dict[str, list[tuple[_Key, Record]]]:
        """Return a copy of everything."""
        with self.lock:
            return {kind: copy.deepcopy(list(table.items())) for kind, table in self._tables.items()}

    def restore(self, state: dict[str, Any]) -> None:
        """Replace everything by a snapshot."""
        with self.lock:
            self._tables = {
                kind: {tuple(key): record for key, record in items} for kind, items in state.items()
            }

    def clear(self) -> None:
        """Forget everything."""
        with self.lock:
            self._tables.clear()
