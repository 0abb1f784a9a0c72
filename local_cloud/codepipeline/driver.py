"""The shell program that runs the phases of a build as CodeBuild's agent does."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

from local_cloud.codepipeline.buildspec import PHASES, Buildspec

# All commands share one shell, so that variables and `cd` last. A command that ends the shell (`exit 1`, or a failure
# under `set -e`) lands in the trap, where the build goes on with what still has to run.
_PROLOGUE = r"""
export CODEBUILD_BUILD_SUCCEEDING=1
__phase=NONE __failed= __broken=
__log() { printf '[Container] %s\n' "$*"; }
__begin() {
  __phase=$1 __broken=
  __log "Entering phase $1"
}
__command() {
  __text=$2 __running=1
  __log "Running command $2"
  if [ -n "$3" ]; then __log "replaced, for this rehearsal, by: $3"; fi
  eval "$1"
  __code=$?
  set +eux
  __running=
  if [ "$__code" -ne 0 ]; then __note "$__code"; fi
}
__note() {
  __broken=1 CODEBUILD_BUILD_SUCCEEDING=0
  __log "Command did not exit successfully $__text exit status $1"
  if [ -z "$__failed" ]; then
    __failed=1
    printf '%s\0%s\0%s\0' "$__phase" "$1" "$__text" > "$__results/failure"
  fi
}
__end() {
  if [ -n "$__broken" ]; then __state=FAILED; else __state=SUCCEEDED; fi
  __log "Phase complete: $__phase State: $__state"
}
__left() {
  __code=$?
  set +eux
  if [ -n "$__running" ]; then
    __running=
    if [ "$__code" -ne 0 ]; then __note "$__code"; fi
  fi
  trap __leave EXIT
  "__after_$__phase"
  __leave
}
__leave() {
  trap - EXIT
  if [ -n "$__failed" ]; then exit 1; fi
  exit 0
}
trap __left EXIT
"""


def write(spec: Buildspec, file: Path, results: Path, replacement: Callable[[str], str | None]) -> None:
    """Write the program.

    Parameters
    ----------
    spec
        What to run.
    file
        Where to write it.
    results
        Folder in which it leaves the failure (phase, exit status, command) and the exported variables.
    replacement
        Returns the command that is to be run instead of one, or None.
    """
    lines = [f"__results={shlex.quote(str(results))}", _PROLOGUE, _exports(spec)]
    lines += [_phase(spec, name, replacement) for name in PHASES]
    lines += ["__phase_install", "__leave"]
    file.write_text("\n".join(lines) + "\n")


def _exports(spec: Buildspec) -> str:
    names = " ".join(shlex.quote(name) for name in spec.exported)
    return f"""__export() {{
  : > "$__results/exported"
  for __name in {names}; do
    if [ -n "${{!__name+x}}" ]; then printf '%s\\0%s\\0' "$__name" "${{!__name}}" >> "$__results/exported"; fi
  done
}}"""


def _phase(spec: Buildspec, name: str, replacement: Callable[[str], str | None]) -> str:
    """Two functions: the phase itself, and what follows when it has ended, however it ended."""
    phase, upper = spec.phases.get(name), name.upper()
    place = PHASES.index(name)
    following = f"__phase_{PHASES[place + 1]}" if place + 1 < len(PHASES) else "__export"
    run, after = [], []
    if phase is not None:
        run.append(f"__begin {upper}")
        for command in phase.commands:
            run.append(f'if [ -z "$__broken" ]; then {_command(command, replacement)}; fi')
        after += [_command(command, replacement) for command in phase.finally_commands]
        after.append("__end")
        if not phase.goes_on and name != "build":
            # After a failed build phase post_build still runs: it is where builds clean up and report.
            after.append('if [ -n "$__broken" ]; then __export; return; fi')
    else:
        run.append(f"__phase={upper}")
    run_text, after_text = "\n  ".join(run), "\n  ".join([*after, following])
    return f"""__phase_{name}() {{
  {run_text}
  __after_{upper}
}}
__after_{upper}() {{
  {after_text}
}}"""


def _command(command: str, replacement: Callable[[str], str | None]) -> str:
    other = replacement(command)
    run = command if other is None else other
    return f"__command {shlex.quote(run)} {shlex.quote(command)} {shlex.quote(other or '')}"
