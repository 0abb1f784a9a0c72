"""Models that were changed, and a server that tries them: one import of XGBoost, and a fork for each model."""

from __future__ import annotations

import json
import random
import re
import struct
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.fuzz.fuzzing import LONG

_STEPS = Path(__file__).parents[2] / "pipeline_code" / "steps"
_NUMBERS = [
    b"-1",
    b"0",
    b"1e999",
    b"-2147483648",
    b"99999999999999999999",
    b"2147483647",
    b"7",
    b"3.5",
    b"nan",
]

# Scores with a model of which its trial says that it is fine, in another process than the one that says so.
_SERVER = """
import os, signal, struct, sys
sys.path.insert(0, sys.argv[1])
import model_trial, numpy as np, xgboost

def forked(work):
    child = os.fork()
    if not child:
        signal.alarm(20)
        os._exit(work())
    status = os.waitpid(child, 0)[1]
    return 128 if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)

def trial():
    try:
        model_trial.limit_memory(len(content))
        sound = model_trial.attempt(content)
    except model_trial.Unusable:
        return 1
    except BaseException:
        return 2
    open(sys.argv[2], "wb").write(sound)
    return 0

def scoring():
    rows = np.random.default_rng(0).random((200, 5)) * 4 - 1
    rows[::7, 0] = np.nan
    booster = xgboost.Booster({"nthread": 1})
    booster.load_model(bytearray(open(sys.argv[2], "rb").read()))
    if booster.num_features() == 5:
        for contributions in (False, True):
            booster.predict(xgboost.DMatrix(rows, nthread=1), pred_contribs=contributions, validate_features=False)
    return 0

os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
while size := sys.stdin.buffer.read(4):
    content = sys.stdin.buffer.read(struct.unpack("<I", size)[0])
    found = {0: "passed", 1: "refused", 128: "killed"}.get(forked(trial), "trace")
    if found == "passed":
        found = {0: "scores", 128: "crashes after its trial"}.get(forked(scoring), "trace after its trial")
    print(found, flush=True)
"""


class Verdicts:
    """A process that says what becomes of a model: ``scores``, ``refused``, ``killed``, or what must not be."""

    def __init__(self, kept: Path) -> None:
        self.kept = kept  # file for what a trial returns

    def __enter__(self) -> Verdicts:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SERVER, str(_STEPS), str(self.kept)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
        return self

    def of(self, content: bytes) -> str:
        """Try a model."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(struct.pack("<I", len(content)) + content)
        self._process.stdin.flush()
        return self._process.stdout.readline().decode().strip()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()


@cache
def trained(form: str) -> bytes:
    """Return a small model of five features, as ``json`` or ``ubj``."""
    import numpy as np
    import xgboost

    rng = np.random.default_rng(1)
    rows = rng.random((200, 5))
    parameters = {"objective": "binary:logistic", "max_depth": 3, "nthread": 1}
    booster = xgboost.train(parameters, xgboost.DMatrix(rows, (rows[:, 0] > 0.5).astype(float)), 8)
    return bytes(booster.save_raw(form))


def mutants(form: str, count: int, *, change: str | None = None) -> Iterator[bytes]:
    """Yield models that were changed: at random places, or in the way that `change` names."""
    if change is not None:
        yield _ill(change)
        return
    yield trained(form)
    source = random.Random() if LONG else random.Random(f"models {form}")
    for _ in range(count - 1):
        content = bytearray(trained(form))
        for _ in range(source.choice([1, 1, 2, 4])):
            _mutate(content, source, form)
        yield bytes(content)


def _mutate(content: bytearray, source: random.Random, form: str) -> None:
    # Half of the changes go where the shape is told, the rest anywhere.
    place = source.randrange(1, source.choice([len(content), min(len(content), 1500)]))
    match source.choice(["byte", "number", "number", "number", "cut", "in", "out"]):
        case "byte":
            content[place] = source.choice([0, 0x7F, 0xFF, source.randrange(256)])
        case "number" if form == "json":
            found = source.choice(list(re.finditer(rb"-?\d+(\.\d+)?(E-?\d+)?|$", content)))
            content[found.start() : found.end()] = source.choice(_NUMBERS)
        case "number":
            content[place : place + 4] = struct.pack(">i", source.choice([-1, 0, 5, 2**31 - 1, -(2**31)]))
        case "cut":
            del content[max(place, 2) :]
            content += b"{" * (not content)
        case "in":
            content[place:place] = source.randbytes(source.randrange(1, 9))
        case _:
            del content[place : place + source.randrange(1, 9)]
    content += b"{}" * (len(content) < 2)


def _ill(change: str) -> bytes:
    described: dict[str, Any] = json.loads(trained("json"))
    tree = described["learner"]["gradient_booster"]["model"]["trees"][0]
    match change:
        case "cycle":
            tree["left_children"][1] = 0
        case "outside":
            tree["right_children"][0] = len(tree["right_children"]) + 3
        case "feature":
            tree["split_indices"][0] = 4000
        case "widths":
            tree["right_children"].pop()
    return json.dumps(described).encode()
