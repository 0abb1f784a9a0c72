"""Later builds borrow the environment of this clone: what takes a minute to install is installed once, in promotion 1.

A borrowed ``.venv`` is a folder of its own whose packages are links. The one package that must be the commit's own,
``cdk_mlops``, is found by a path file of its own.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from rehearsal.errors import RehearsalError

# What the environment is made from; where a commit changes one of them, its builds would need another environment.
INPUTS = ("requirements.txt", "constructs/pyproject.toml", "package-lock.json")
EDITABLE = "_editable_impl_cdk_mlops.pth"

_SCRIPT = """#!/bin/sh
# Makes .venv and node_modules in the folder where it is run: links to those of another clone.
set -eu
lender={lender}
for input in {inputs}; do
  if ! cmp -s "$input" "$lender/$input"; then
    echo "$input is not the one that the borrowed .venv was made from; rehearse from a clone of this commit" >&2
    exit 1
  fi
done
packages={packages}
mkdir -p .venv/bin ".venv/$packages" node_modules
ln -sf "$lender/.venv/bin/"* .venv/bin/
cp "$lender/.venv/pyvenv.cfg" .venv/
ln -sf "$lender/.venv/$packages/"* ".venv/$packages/"
rm -f ".venv/$packages/{editable}"
echo "$PWD/constructs/src" > ".venv/$packages/{editable}"
ln -sf "$lender/node_modules/"* node_modules/
# A build's home is empty: what jsii and Node have unpacked and compiled once for this environment goes with it.
if [ -n "${{CODEBUILD_BUILD_ID:-}}" ]; then
  mkdir -p "$HOME/.cache/aws" build/cache {caches}/jsii {caches}/node
  ln -sfn {caches}/jsii "$HOME/.cache/aws/jsii"
  ln -sfn {caches}/node build/cache/node
fi
touch .venv/.ready
"""


def write_script(lender: Path, script: Path) -> Path:
    """Write the program that makes a borrowed environment in the folder where it is run.

    Parameters
    ----------
    lender
        A clone with ``.venv`` and ``node_modules``.
    script
        Where to write it.

    Raises
    ------
    RehearsalError
        Where the lender has no environment of the expected form.
    """
    found = sorted(lender.glob(f".venv/lib/python3.*/site-packages/{EDITABLE}"))
    if len(found) != 1:
        raise RehearsalError(f"{lender.name}/.venv holds no installation of ./constructs; run: make setup")
    packages = found[0].parent.relative_to(lender / ".venv")
    text = _SCRIPT.format(
        lender=shlex.quote(str(lender)),
        inputs=" ".join(INPUTS),
        packages=shlex.quote(str(packages)),
        editable=EDITABLE,
        caches=shlex.quote(str(script.parent / "caches")),
    )
    script.write_text(text)
    script.chmod(0o755)
    return script


def borrowing(script: Path, command: str) -> str:
    """Return a command that borrows the environment before it does what the given one does."""
    return f"{shlex.quote(str(script))} && {command}"
