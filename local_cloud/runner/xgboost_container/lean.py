"""The module ``xgboost``, imported without pandas and scikit-learn: with them a job takes a second longer to start."""

from __future__ import annotations

import sys

# XGBoost uses them where they can be imported, and the container's contract is lines of CSV.
_hidden = [name for name in ("pandas", "sklearn") if name not in sys.modules]
for _name in _hidden:
    sys.modules[_name] = None  # type: ignore[assignment] # what the import system takes for "isn't there"
try:
    import xgboost
finally:
    for _name in _hidden:
        del sys.modules[_name]

__all__ = ["xgboost"]
