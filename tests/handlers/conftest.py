"""On Lambda the folder handlers/ is the root of the code: tests see it the same way."""

import sys
from pathlib import Path

HANDLERS = Path(__file__).parents[2] / "constructs" / "src" / "cdk_mlops" / "handlers"
if str(HANDLERS) not in sys.path:
    sys.path.insert(0, str(HANDLERS))
