"""As much of the AWS CLI as the scripts of bootstrapping use, for machines without it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import boto3
import botocore.exceptions


def main(arguments: Sequence[str] | None = None) -> int:
    """Call one operation and print its answer."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if len(words) < 2 or words[0].startswith("-") or words[1].startswith("-"):
        print("usage: aws SERVICE OPERATION [--name value ...]", file=sys.stderr)
        return 2
    service, operation, given = words[0], words[1], parameters(words[2:])
    session = boto3.Session(profile_name=given.pop("Profile", None))
    try:
        answer = getattr(session.client(service), operation.replace("-", "_"))(**given)
    except (botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError) as error:
        print(error, file=sys.stderr)
        return 1
    answer.pop("ResponseMetadata", None)
    print(json.dumps(answer, indent=4, default=str))
    return 0


def parameters(words: Sequence[str]) -> dict[str, Any]:
    """Return an operation's parameters: ``--policy-name x`` is PolicyName; a name without a value is true."""
    found: dict[str, Any] = {}
    name = ""
    for word in words:
        if word.startswith("--"):
            name = "".join(part.title() for part in word[2:].split("-"))
            found[name] = True
        else:
            found[name] = Path(word[7:]).read_text() if word.startswith("file://") else word
    return found


if __name__ == "__main__":
    sys.exit(main())
