"""XGBoost as the steps use it: with arrays only, so without the packages that take most of its start-up."""

from __future__ import annotations

import importlib
import sys
from typing import Any

# For data frames and for its scikit-learn interface; with both, importing XGBoost takes four times as long.
_UNUSED = ("pandas", "sklearn")


def load_xgboost() -> Any:
    """Return the module ``xgboost``, imported without pandas and scikit-learn where nothing has imported them yet."""
    hidden = [name for name in _UNUSED if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment] # what the import system takes for "isn't there"
    try:
        return importlib.import_module("xgboost")
    finally:
        for name in hidden:
            del sys.modules[name]
