"""What every test process needs: the Node that came from PyPI, and no template validation (make check does that)."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

os.environ.setdefault("JSII_NODE", str(ROOT / ".venv" / "bin" / "node"))
os.environ.setdefault("JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION", "1")

# A test must not reach anybody's account, nor read their settings, nor know which build of the delivery it runs in.
FOREIGN = ("AWS_", "MLOPS_", "CDK_", "CODEBUILD_", "GIT_", "GITHUB_")
for name in [name for name in os.environ if name.startswith(FOREIGN)]:
    del os.environ[name]
os.environ["CDK_VALIDATION"] = "false"
