"""Checks of props: each raises a ValueError that names the prop, the rule and the value, and lets CDK tokens pass."""

from __future__ import annotations

import re
from collections.abc import Collection

from aws_cdk import Token

ACCOUNT_ID = re.compile(r"\d{12}")
EMAIL = re.compile(r"[^@\s,]+@[^@\s,]+\.[^@\s.,]+")
_BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
STAGE = re.compile(r"[a-z][a-z0-9-]{0,14}[a-z0-9]")
PRINCIPAL_ARN = re.compile(r"arn:[a-z-]+:(iam|sts)::\d{12}:(root|(user|role|assumed-role)/[\w+=,.@/-]+)")


def is_token(value: object) -> bool:
    """Return whether a value is only known at deployment; a plain text is told without asking Node."""
    return not (isinstance(value, str) and "${" not in value) and Token.is_unresolved(value)


def check_pattern(prop: str, value: str, pattern: re.Pattern[str], rule: str) -> str:
    """Return the value if all of it matches the pattern or it is a token; ``rule`` completes "prop must ..."."""
    if not is_token(value) and not pattern.fullmatch(value):
        raise ValueError(f"{prop} must {rule}, got '{value}'")
    return value


def check_account(prop: str, value: str) -> str:
    """Return a 12-digit account id."""
    return check_pattern(prop, value, ACCOUNT_ID, "be a 12-digit account id in quotes")


def check_stage(prop: str, value: str) -> str:
    """Return the name of a stage; it becomes part of role names, paths and aliases."""
    return check_pattern(prop, value, STAGE, "be 2 to 16 lower-case letters, digits and hyphens, such as dev")


def check_email(prop: str, value: str) -> str:
    """Return an e-mail address."""
    return check_pattern(prop, value, EMAIL, "be one e-mail address")


def check_principal(prop: str, value: str) -> str:
    """Return the ARN of a user, a role or an account's root."""
    return check_pattern(
        prop,
        value,
        PRINCIPAL_ARN,
        "be the ARN of a user, a role or an account (arn:aws:iam::<account>:role/<name>)",
    )


def check_choice(prop: str, value: str, choices: Collection[str]) -> str:
    """Return one of the choices."""
    if value not in choices:
        raise ValueError(f"{prop} must be one of {', '.join(choices)}, got '{value}'")
    return value


def check_range(prop: str, value: int, least: int, most: int) -> int:
    """Return a whole number between both limits, these included."""
    if not least <= value <= most and not Token.is_unresolved(value):
        raise ValueError(f"{prop} must be a whole number from {least} to {most}, got {value}")
    return value


def check_bucket_name(prop: str, value: str) -> None:
    """Fail unless the value can be the name of a bucket."""
    check_pattern(prop, value, _BUCKET_NAME, "be 3 to 63 lower-case letters, digits, dots and hyphens")
