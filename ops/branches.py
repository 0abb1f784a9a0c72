"""What the commands need to know of a feature branch: ``BRANCH=NAME`` with run, versions, approve and reject."""

from __future__ import annotations

from typing import Any

from ops.errors import CommandError
from ops.sessions import assume, session_for
from stacks.branch import Branch
from stacks.installation import Settings

COMMANDS = ("run", "versions", "approve", "reject")
# Where a branch's name would be taken for one of its own, these would act on main.
REFUSED = ("upload", "adopt", "rollback", "trace", "promotions", "release")


def settings_of(settings: Settings, command: str, name: str | None, stage: str | None) -> Settings:
    """Return the installation as a command sees it: as the branch has it, where one is named.

    Raises
    ------
    CommandError
        Where the command knows no branches, or the stage isn't dev.
    SettingsError
        Where the name can't be a branch's.
    """
    if name is None or command not in (*COMMANDS, *REFUSED):
        return settings
    branch = Branch(name)
    if command in REFUSED:
        shared = "; a branch reads the data of dev: make upload STAGE=dev" if command == "upload" else ""
        raise CommandError(f"BRANCH is for {', '.join(COMMANDS)}, got {name!r}{shared}")
    if stage not in (None, "dev"):
        raise CommandError(f"a branch is in dev only, got STAGE={stage}; say STAGE=dev")
    return branch.settings(settings)


def session(settings: Settings, name: str) -> Any:
    """Return who acts on a branch: its data scientist where the settings name some and the role lets one in.

    Whoever may act in dev by themselves, such as an administrator, does.

    Raises
    ------
    CommandError
        Where one of the data scientists isn't let in.
    """
    own = session_for("dev", settings.accounts["dev"], settings.region)
    people = settings.people
    if not people.data_scientists:
        return own
    role = Branch(name).people_role_arn(settings)
    try:
        return assume(own, role, settings.region, name="branch")
    except CommandError:
        who = own.client("sts").get_caller_identity()["Arn"]
        if who in people.data_scientists:
            factor = "give MFA_SERIAL and MFA_CODE, and " if people.require_mfa else ""
            raise CommandError(
                f"{who} may not become {role}: {factor}see that the branch is deployed"
            ) from None
        return own
