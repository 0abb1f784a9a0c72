"""The paths by which definitions reach into step properties and property files."""

from __future__ import annotations

import re
from typing import Any

_TOKEN = re.compile(r"""\[\s*(?:'([^']*)'|"([^"]*)"|(-?\d+))\s*\]|\.?([^.\[\]]+)""")


def split_path(path: str) -> list[str | int]:
    """Split ``a.b['c'][0]`` into its parts; a leading ``$`` is dropped.

    Raises
    ------
    ValueError
        The path isn't well formed.
    """
    rest = path.removeprefix("$")
    parts: list[str | int] = []
    position = 0
    while position < len(rest):
        match = _TOKEN.match(rest, position)
        if not match:
            raise ValueError(f"path {path!r} isn't well formed at {rest[position:]!r}")
        single, double, index, name = match.groups()
        parts.append(
            int(index) if index is not None else next(x for x in (single, double, name) if x is not None)
        )
        position = match.end()
    return parts


def look_up(value: Any, path: str) -> Any:
    """Return what a path finds in a JSON value.

    A list of named objects may be addressed by name, as SageMaker allows for
    ``ProcessingOutputConfig.Outputs['train']``.

    Raises
    ------
    LookupError
        There is nothing at the path; names the part that isn't there.
    """
    found = value
    for part in split_path(path):
        if isinstance(found, list) and isinstance(part, str):
            found = _named(found, part, path)
            continue
        try:
            found = found[part]
        except (KeyError, IndexError, TypeError):
            raise LookupError(f"path {path!r} finds nothing at {part!r}") from None
    return found


def _named(items: list[Any], name: str, path: str) -> Any:
    for item in items:
        if isinstance(item, dict) and any(k.endswith("Name") and v == name for k, v in item.items()):
            return item
    raise LookupError(f"path {path!r} finds nothing named {name!r}")
