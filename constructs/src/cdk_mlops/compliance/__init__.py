"""Rules for templates, for your own stacks too: least privilege and data protection, checked by CDK as it synthesizes.

They are written in Rego and run in CDK's own template validation, offline and beside its built-in rules. Each is
named in the files `permissions.rego` and `protection.rego`.
https://docs.aws.amazon.com/cdk/v2/guide/policy-validation-synthesis.html
"""

from __future__ import annotations

from pathlib import Path

from aws_cdk import CloudFormationValidatePlugin, Stage, ValidationRuleSource, Validations

_FOLDER = Path(__file__).parent
FILES = ("permissions.rego", "protection.rego")


def rules() -> list[ValidationRuleSource]:
    """Return the rules as CDK's validation takes them, to be given to a plugin together with others."""
    return [ValidationRuleSource(name=name, content=(_FOLDER / name).read_text()) for name in FILES]


def add_rules(scope: Stage) -> None:
    """Hold all stacks of an app or a stage to the rules when it is synthesized.

    A template that breaks one fails the synthesis where the context `@aws-cdk/core:validateAgainstDefaultRules`
    is true; else CDK prints a warning. A finding that you live with is acknowledged where it is, with the reason:
    ``Validations.of(construct).acknowledge(Acknowledgment(id="CloudFormation-Validate::MLOPS-IAM-3", reason="..."))``.

    Parameters
    ----------
    scope
        The app, or a stage of it.
    """
    Validations.of(scope).add_plugins(CloudFormationValidatePlugin(rego_rules=rules()))
