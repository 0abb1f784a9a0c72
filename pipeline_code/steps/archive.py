"""Model archives: read the one file that may be in them, and nothing else."""

from __future__ import annotations

import tarfile
import zlib
from pathlib import Path
from typing import Any

from .program import UsageError

MEMBER = "xgboost-model"
LARGEST = 1 << 30  # bytes of an unpacked model; an archive may expand a thousandfold


def read_model_bytes(archive: Path, *, largest: int = LARGEST) -> bytes:
    """Return the model inside a model.tar.gz, without unpacking anything to disk.

    Parameters
    ----------
    archive
        Must hold exactly one regular file, ``xgboost-model``.
    largest
        Bytes that the model may have.

    Raises
    ------
    UsageError
        The archive is damaged, holds anything else, or the model is too large or not XGBoost's own format.
    """
    try:
        with tarfile.open(archive, "r:gz") as tar:
            member = tar.next()
            if member is None:
                raise UsageError(f"{archive.name} is empty; expected {MEMBER} in it")
            if member.name.removeprefix("./") != MEMBER or not member.isreg():
                raise UsageError(f"{archive.name} holds '{member.name}'; only a file {MEMBER} may be in it")
            if member.size > largest:
                raise UsageError(
                    f"{MEMBER} in {archive.name} has {member.size} bytes; at most {largest} may be"
                )
            held = tar.extractfile(member)
            content = held.read() if held is not None else b""
            extra = tar.next()
            if extra is not None:
                raise UsageError(f"{archive.name} also holds '{extra.name}'; only {MEMBER} may be in it")
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise UsageError(f"{archive.name} is not a readable tar.gz archive: {error}") from None
    # UBJSON and JSON both begin with a brace; a pickle, which could run code, doesn't
    if not content.startswith(b"{"):
        raise UsageError(
            f"{MEMBER} in {archive.name} is not in XGBoost's UBJSON or JSON format; pickles are refused"
        )
    return content


def load_booster(archive: Path) -> Any:
    """Return the booster inside a model.tar.gz.

    Raises
    ------
    UsageError
        As `read_model_bytes`, or XGBoost can't read the model.
    """
    content = read_model_bytes(archive)
    import xgboost

    booster = xgboost.Booster()
    try:
        booster.load_model(bytearray(content))
    except (xgboost.core.XGBoostError, ValueError) as error:
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else "no reason given"
        raise UsageError(f"XGBoost can't read {MEMBER} in {archive.name}: {reason}") from None
    return booster
