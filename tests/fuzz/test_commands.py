"""``python -m ops COMMAND`` with odd variables: exit code 1 and one line, and nobody is called.

`tests.fuzz.fuzzing` says how to run more examples.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ops import __main__ as ops
from tests.fuzz.fuzzing import fuzz, one_line

# Those that build, deploy, or read and write files of their own accord are not started with sound variables.
BUSY = {"data", "adopt", "bootstrap-help", "deliver", "in-role", "local-profiles", "alerts"}
HARMLESS = sorted(name for name in ops.COMMANDS if name not in BUSY and not name.startswith("ci-"))
VARIABLES = [
    "STAGE", "PIPELINE", "INPUT", "VERSION", "MODEL", "BRANCH", "NOTE", "DATA", "STAGES", "APPROVAL", "TO", "ASSEMBLY",
    "RESCORE", "CHECK_LEAD_SECONDS", "MFA_SERIAL", "MFA_CODE", "GIT_COMMIT", "REVIEW_BUCKET", "REVIEW_EXPORTS",
]  # fmt: skip
ODD = [
    *(
        "",
        " ",
        "dev",
        "prod",
        "staging",
        "registry",
        "train",
        "inference",
        "quality",
        "1",
        "0",
        "-1",
        "1e3",
        "1" * 5000,
    ),
    *(
        "\u00b2",
        "\u0663",
        "newest",
        "x",
        "a\nb",
        "\x1b[31m",
        "\udc80",
        "$(touch escaped)",
        "../../..",
        "/etc/passwd",
    ),
    *(
        "s3://",
        "s3://b/../k",
        "mammography",
        "true",
        "x" * 3000,
        "feature/x",
        "-x",
        "--",
        "registry dev",
        "a/b/c",
    ),
]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder without credentials, an assembly or data, and a network that refuses everything."""
    folder = tmp_path_factory.mktemp("commands")
    (folder / "settings.json").write_text("{}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLOPS_SETTINGS", str(folder / "settings.json"))
        patch.setenv("HOME", str(folder))
        patch.setenv("AWS_CONFIG_FILE", str(folder / "config"))
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "credentials"))
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setattr(socket.socket, "connect", _refuse)
        patch.chdir(folder)
        yield folder


def _refuse(*_: Any) -> None:
    raise AssertionError("a command called somebody")


@fuzz(200)
@given(
    st.sampled_from(HARMLESS), st.dictionaries(st.sampled_from(VARIABLES), st.sampled_from(ODD), max_size=4)
)
@example("trace", {"VERSION": "\u00b2"})
@example("check-stage", {"STAGE": "dev", "CHECK_LEAD_SECONDS": "\u00b2"})
@example("review", {"STAGE": "prod", "ASSEMBLY": "x" * 3000})
@example("approve", {"VERSION": "1" * 5000})
def test_a_command_with_odd_variables_ends_in_one_line(
    alone: Path, command: str, variables: dict[str, str]
) -> None:
    before = {path: path.read_bytes() for path in alone.rglob("*") if path.is_file()}
    with pytest.MonkeyPatch.context() as patch:
        for name in VARIABLES:
            patch.delenv(name, raising=False)
        for name, value in {
            "ASSEMBLY": str(alone / "cdk.out"),
            "DATA": str(alone / "data"),
            **variables,
        }.items():
            patch.setenv(name, value)
        out, err = Lines(), Lines()
        patch.setattr("sys.stdout", out)
        patch.setattr("sys.stderr", err)
        code = ops.main([command])
    assert code == 1, out.text
    assert one_line(err.text), err.text
    assert len(err.text) < 2000
    assert {path: path.read_bytes() for path in alone.rglob("*") if path.is_file()} == before


class Lines:
    """A stream that escapes what UTF-8 can't hold, as Python's standard error does."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text.encode(errors="backslashreplace").decode()
        return len(text)

    def flush(self) -> None:
        """Nothing waits."""
