"""Model archives: read the one file that may be in them, and nothing else."""

from __future__ import annotations

import contextlib
import gzip
import os
import subprocess
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from .boosting import load_xgboost
from .program import UsageError

MEMBER = "xgboost-model"
LARGEST = 1 << 30  # bytes of an unpacked model; an archive may expand a thousandfold
_AROUND = 1 << 20  # bytes that headers and padding may have
_TRIAL = Path(__file__).with_name("model_trial.py")
_TRIAL_SECONDS = 120
# What tarfile raises where a file isn't what it says; a chain of extended headers makes it recurse.
_DAMAGED = (
    tarfile.TarError,
    EOFError,
    OSError,
    zlib.error,
    ValueError,
    OverflowError,
    RecursionError,
)


class _Bounded:
    """Unpacked bytes, up to a number that is raised as it becomes known what comes."""

    def __init__(self, packed: IO[bytes] | gzip.GzipFile, name: str) -> None:
        self.packed, self.name = packed, name
        self.left = _AROUND

    def read(self, size: int) -> bytes:
        content = self.packed.read(min(size, self.left + 1))
        self.left -= len(content)
        if self.left < 0:
            raise UsageError(
                f"{self.name} unpacks to more than its one file {MEMBER}; only that may be in it"
            )
        return content


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
        with gzip.open(archive) as packed:
            content = _sole_member(_Bounded(packed, archive.name), archive.name, largest)
    except _DAMAGED as error:
        reason = "its headers are nested too deeply" if isinstance(error, RecursionError) else error
        raise UsageError(f"{archive.name} is not a readable tar.gz archive: {reason}") from None
    # UBJSON and JSON both begin with a brace; a pickle, which could run code, doesn't
    if not content.startswith(b"{"):
        raise UsageError(
            f"{MEMBER} in {archive.name} is not in XGBoost's UBJSON or JSON format; pickles are refused"
        )
    return content


def _sole_member(source: _Bounded, name: str, largest: int) -> bytes:
    with tarfile.open(fileobj=source, mode="r|") as tar:  # type: ignore[call-overload]  # all it needs is read()
        member = tar.next()
        if member is None:
            raise UsageError(f"{name} is empty; expected {MEMBER} in it")
        if member.name.removeprefix("./") != MEMBER or not member.isreg() or member.issparse():
            raise UsageError(f"{name} holds '{member.name}'; only a file {MEMBER} may be in it")
        if not 0 <= member.size <= largest:
            raise UsageError(f"{MEMBER} in {name} has {member.size} bytes; at most {largest} may be")
        source.left += member.size
        held = tar.extractfile(member)
        content = held.read() if held is not None else b""
        extra = tar.next()
        if extra is not None:
            raise UsageError(f"{name} also holds '{extra.name}'; only {MEMBER} may be in it")
    while source.read(1 << 16):
        pass  # to the end, where the checksum is: a model with a flipped bit may well load
    return content


def load_boosters(archives: Sequence[Path]) -> list[Any]:
    """Return the boosters inside model archives, each tried in a process of its own first.

    XGBoost trusts what it reads: a file made with intent, or cut by chance, can end the interpreter or keep it
    busy for ever. There it may; nothing is left of this process otherwise that could say why.

    Raises
    ------
    UsageError
        As `read_model_bytes`, or XGBoost can't read the model.
    """
    contents = [read_model_bytes(archive) for archive in archives]
    with contextlib.ExitStack() as stack:
        trials = [stack.enter_context(_trial(content)) for content in contents]
        xgboost = load_xgboost()  # meanwhile: most of a trial is this import
        tried = [_wait(trial, archive.name) for archive, trial in zip(archives, trials, strict=True)]
    boosters = []
    for content in tried:
        booster = xgboost.Booster()
        booster.load_model(bytearray(content))
        boosters.append(booster)
    return boosters


@contextlib.contextmanager
def _trial(content: bytes) -> Iterator[subprocess.Popen[bytes]]:
    # One thread, so that little address space is needed, which the trial limits for itself.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with tempfile.TemporaryFile() as model:
        model.write(content)
        model.seek(0)
        process = subprocess.Popen(
            [sys.executable, str(_TRIAL)],
            stdin=model,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


def _wait(trial: subprocess.Popen[bytes], name: str) -> bytes:
    try:
        said = trial.communicate(timeout=_TRIAL_SECONDS)[0]
    except subprocess.TimeoutExpired:
        raise UsageError(f"XGBoost isn't done with {MEMBER} in {name} after {_TRIAL_SECONDS} s") from None
    if trial.returncode < 0:
        raise UsageError(
            f"XGBoost can't read {MEMBER} in {name}: it ends with signal {-trial.returncode}: the file is damaged,"
            " or made to do harm"
        )
    if trial.returncode:
        why = said.decode("utf-8", "replace").strip() or "no reason given"
        raise UsageError(f"XGBoost can't read {MEMBER} in {name}: {why}")
    return said
