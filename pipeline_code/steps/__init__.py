"""The programs that run inside the jobs: pure functions of folders, without boto3."""

from pathlib import Path

_WHEELS = Path(__file__).resolve().parent.parent / "wheels"
# Beside the steps of a job, for a model that has a wheels.txt; a model's folder in the repository has no wheels.
if (_WHEELS / "wheels.txt").is_file() and __name__ == "steps":
    from .wheelhouse import add

    add(_WHEELS)
