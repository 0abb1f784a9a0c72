"""Deploy stages from a cloud assembly that exists: what was tested is what arrives, nothing is synthesized anew."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ops import assembly, cdk
from ops.errors import CommandError
from stacks.installation import STACKS, Settings
from stacks.section import suggestion

# What a stack is left in. The CDK CLI cuts the words of CloudFormation to the width of its column.
_STATE = re.compile(r"\b((?:UPDATE_|IMPORT_)?ROLLBACK_)(COMPLET|FAILED)")


def stages_of(settings: Settings, named: str | None) -> list[str]:
    """Return the stages that a person named, in the order that a commit passes them.

    Parameters
    ----------
    settings
        The installation.
    named
        Such as ``registry dev``.

    Raises
    ------
    CommandError
        Where none is named, or one that the installation doesn't have.
    """
    known = [name for name in STACKS if name in settings.accounts]
    wanted = (named or "").replace(",", " ").split()
    if not wanted:
        raise CommandError(
            f'STAGES is missing: name some of {", ".join(known)}, such as STAGES="registry dev"'
        )
    for stage in wanted:
        if stage == "staging" and stage not in known:
            raise CommandError("there is no staging: name its account under mlops.accounts.staging")
        if stage not in known:
            raise CommandError(
                f"STAGES must be of {', '.join(known)}, got {stage!r}{suggestion(stage, known)};"
                ' for example STAGES="registry dev"'
            )
    return [stage for stage in known if stage in wanted]


def deliver(
    settings: Settings,
    stages: Sequence[str],
    folder: Path,
    *,
    env: Mapping[str, str] | None = None,
    say: Callable[[str], None],
) -> None:
    """Deploy the stacks of stages as they lie in an assembly, with the credentials of the environment.

    Parameters
    ----------
    settings
        The installation; an assembly of other accounts is refused.
    stages
        Such as ``["registry", "dev"]``; deployed side by side.
    folder
        The assembly, such as ``cdk.out``.
    env
        Environment of the CDK CLI. Default: that of this process.
    say
        Gets each line that the CLI prints.

    Raises
    ------
    CommandError
        Where the assembly isn't one of this installation, or a deployment failed; says what is deployed then.
    """
    stacks = {stage: STACKS[stage] for stage in stages}
    for stage, stack in stacks.items():
        found = assembly.find(folder, stack)
        place = str(found.artifact.get("environment", ""))
        wanted = f"aws://{settings.accounts[stage]}/{settings.region}"
        if place != wanted:
            raise CommandError(
                f"the assembly in {folder} has {stack} for {place}, the settings say {wanted}: it was made with"
                " other settings; make one with these: make synth"
            )
        # The registry's template is of no commit: it holds no pipeline.
        of_commit = "" if found.commit == "unknown" else f" of commit {found.commit[:12]}"
        say(f"{stage}: {stack}{of_commit} to {place}")
    arguments = [
        *("deploy", *stacks.values(), "--app", str(folder.resolve()), "--exclusively"),
        *("--require-approval", "never", "--concurrency", str(len(stacks)), "--progress", "events"),
    ]
    code, lines = _run(arguments, cdk.environment({}) if env is None else env, say)
    if code:
        raise CommandError(_failed(stacks, code, lines))


def _run(
    arguments: Sequence[str], env: Mapping[str, str], say: Callable[[str], None]
) -> tuple[int, list[str]]:
    """Run the CLI and pass on what it prints at once: a deployment takes minutes, and people watch."""
    lines: list[str] = []
    with subprocess.Popen(
        [str(cdk.NODE), str(cdk.CLI), *arguments],
        cwd=cdk.ROOT,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        try:
            for line in process.stdout or ():
                lines.append(line.rstrip())
                say(line.rstrip())
        except BaseException:
            process.terminate()
            raise
    return process.returncode, lines


def _failed(stacks: Mapping[str, str], code: int, lines: Sequence[str]) -> str:
    """Say in one line which stage failed, and what is deployed there now."""
    refused = [line for line in lines if "Could not assume role" in line]
    told = []
    for stage, stack in stacks.items():
        about = [line for line in lines if re.search(rf"\b{stack}\b", line)]
        states = ["".join(state) for line in about for state in _STATE.findall(line)]
        failed = any("failed" in line or "❌" in line for line in about)
        if refused:
            told.append(f"these credentials may not deploy {stage} ({stack})")
        elif states:
            told.append(f"{stage} ({stack}) {_LEFT[states[-1]]}")
        elif failed:
            told.append(f"{stage} ({stack}) was not deployed; the reason is above")
    if refused:
        return f"{' or '.join(told)}, or the account isn't bootstrapped for them; the reason is above"
    return "; ".join(told) or f"cdk deploy ended with exit code {code}; the reason is above"


_REASON = "; the reason is above"
_BEFORE = "failed and was rolled back ({}): it runs what it ran before" + _REASON
_NOTHING = "failed the first time it was deployed ({}): nothing of it runs" + _REASON
_NOTHING += "; put it right, and take up what was kept before delivering again: make adopt"
_STUCK = "failed, and so did its rollback ({}): it may be half old, half new" + _REASON
_STUCK += "; finish with: cdk rollback"
_LEFT = {
    state.replace("COMPLETE", "COMPLET"): words.format(state)
    for states, words in (
        (("UPDATE_ROLLBACK_COMPLETE", "IMPORT_ROLLBACK_COMPLETE"), _BEFORE),
        (("ROLLBACK_COMPLETE", "ROLLBACK_FAILED"), _NOTHING),
        (("UPDATE_ROLLBACK_FAILED", "IMPORT_ROLLBACK_FAILED"), _STUCK),
    )
    for state in states
}
