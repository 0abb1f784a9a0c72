"""Are the pipelines that a stage has those of the assembly?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import botocore.exceptions

from ops.assembly import CODE, COMMIT, DEFINITION, StackAssembly
from ops.checks_common import CheckError
from ops.errors import CommandError
from stacks.installation import Settings, Stage

COMPARED = {DEFINITION: "definition", CODE: "code", COMMIT: "commit"}


def compare(
    settings: Settings,
    stage: Stage,
    sagemaker: Any,
    expected: StackAssembly,
    *,
    may_differ: bool = False,
    say: Callable[[str], None],
) -> None:
    """Compare definition, code and commit of a stage's pipelines with the assembly's.

    Parameters
    ----------
    may_differ
        Whether a difference is only told: a version may be tried in a stage that has got ahead of the assembly.

    Raises
    ------
    CheckError
        At the first difference, or where a pipeline isn't there.
    """
    differences = 0
    for name, wanted in sorted(expected.pipelines.items()):
        try:
            found = tags_of(settings, stage, sagemaker, name)
        except NotAllowed:
            found = None  # a checker knows no pipeline that its stack hasn't deployed
        if found is None:
            raise CheckError(
                f"{stage.name}: expected the pipeline {name}; found none that may be read in account {stage.account};"
                f" deploy {expected.name} first"
            )
        for tag, word in COMPARED.items():
            if found.get(tag) == wanted.get(tag):
                continue
            if not may_differ:
                raise CheckError(
                    f"{stage.name}: expected {name} to have the {word} {wanted.get(tag)} of the assembly in"
                    f" {expected.folder}; found {found.get(tag, 'none')}; deploy {expected.name}, or synthesize what"
                    " is deployed: make synth"
                )
            differences += 1
            say(
                f"{stage.name}: {name} has the {word} {found.get(tag, 'none')}, not the assembly's {wanted.get(tag)};"
                " the version is tried with it all the same"
            )
    count, commit = len(expected.pipelines), expected.commit[:12]
    if not differences:
        say(f"{stage.name}: {count} pipelines have the definitions and code of commit {commit}")


class NotAllowed(CommandError):  # noqa: N818 - it names what the caller is
    """Whoever asks may not read a pipeline's tags."""


def tags_of(settings: Settings, stage: Stage, sagemaker: Any, pipeline: str) -> Mapping[str, str] | None:
    """Return a pipeline's tags; None where there is no such pipeline.

    Raises
    ------
    NotAllowed
        Where they may not be read.
    """
    arn = f"arn:{settings.partition}:sagemaker:{stage.region}:{stage.account}:pipeline/{pipeline.lower()}"
    found: dict[str, str] = {}
    more: dict[str, str] = {}
    try:
        while True:
            page = sagemaker.list_tags(ResourceArn=arn, **more)
            found |= {tag["Key"]: tag["Value"] for tag in page["Tags"]}
            if not page.get("NextToken"):
                return found
            more = {"NextToken": page["NextToken"]}
    except botocore.exceptions.ClientError as error:
        if error.response["Error"]["Code"] in ("ResourceNotFound", "ValidationException"):
            return None
        if error.response["Error"]["Code"] in ("AccessDeniedException", "AccessDenied"):
            raise NotAllowed(f"{stage.name}: {error.response['Error']['Message']}") from None
        raise
