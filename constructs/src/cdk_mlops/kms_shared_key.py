"""A customer-managed key that named principals of other accounts may use, and for no more than they need."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from aws_cdk import Arn, ArnFormat, RemovalPolicy, Stack, Token
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from cdk_mlops._removal import checked_removal
from cdk_mlops._statements import Statement, arn, grant, iam_arn
from cdk_mlops._validation import check_account, check_choice, check_pattern

KeyUse = Literal["decrypt", "encrypt", "encrypt_decrypt"]
_ACTIONS: dict[KeyUse, tuple[str, ...]] = {
    "decrypt": ("kms:Decrypt",),
    "encrypt": ("kms:GenerateDataKey",),
    "encrypt_decrypt": ("kms:Decrypt", "kms:GenerateDataKey"),
}
# SageMaker asks it of a role whose job names the key of its outputs by an alias:
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_OutputDataConfig.html
_JOB_OUTPUTS = ("kms:Encrypt",)
_ALIAS = re.compile(r"alias/(?!aws/)[A-Za-z0-9/_-]{1,250}")
_ALIAS_ARN = re.compile(r"arn:[a-z-]+:kms:[a-z0-9-]+:\d{12}:alias/(?!aws/)[A-Za-z0-9/_-]{1,250}")
_ROLE_PATH = re.compile(r"/[\w+=,.@/*-]{1,500}")


@dataclass(frozen=True, kw_only=True)
class ExternalPrincipals:
    """Roles of an account that a key admits: by their path, so that new roles need no new key policy.

    Parameters
    ----------
    account
        12-digit id of the account that owns the roles.
    role_path
        Path and name of the roles as a pattern, such as ``/mlops/dev/*``. Default: every role below ``/mlops/``.
    use
        ``decrypt`` (default), ``encrypt_decrypt``, or ``encrypt`` for roles that another entry lets decrypt: S3
        decrypts what it uploads in parts.
    job_outputs
        Whether SageMaker jobs of these roles name the key for their outputs. Default: no.
    via
        Services through which the key may be used. Default: S3 and SageMaker.

    Raises
    ------
    ValueError
        If a value can't be right.
    """

    account: str
    role_path: str = "/mlops/*"
    use: KeyUse = "decrypt"
    job_outputs: bool = False
    via: tuple[str, ...] = ("s3", "sagemaker")

    def __post_init__(self) -> None:
        """Check the values."""
        check_account("account", self.account)
        check_pattern(
            "role_path", self.role_path, _ROLE_PATH, "be a role's path and name such as /mlops/dev/*"
        )
        check_choice("use", self.use, tuple(_ACTIONS))
        if not self.via:
            raise ValueError("via must name at least one service such as s3, got ()")


class SharedKey(Construct):
    """What is known of a key by its alias: enough to use it from any account, nothing that needs its id.

    An alias in a policy's ``Resource`` grants nothing, and a key's id can't be known before it exists. So the
    statements name ``key/*`` of the owning account under ``kms:ResourceAliases``.

    See https://docs.aws.amazon.com/kms/latest/developerguide/alias-authorization.html
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, alias_name: str, account: str, region: str
    ) -> None:
        super().__init__(scope, construct_id)
        self.alias_name = alias_name
        self.account = account
        self.key_region = region
        self.alias_arn = arn(self, "kms", alias_name, account=account, region=region)

    def statements(
        self, use: KeyUse, *, job_outputs: bool = False, volumes: bool = False, sid: str = "Key"
    ) -> list[Statement]:
        """Return the identity statements for a use of the key; for jobs' outputs and encrypted volumes where asked."""
        keys = [arn(self, "kms", "key/*", account=self.account, region=self.key_region)]
        own_alias = {"kms:ResourceAliases": self.alias_name}
        actions = _actions(use, job_outputs)
        statements = [Statement(f"{sid}Use", actions, keys, {"ForAnyValue:StringEquals": own_alias})]
        if volumes:
            conditions = {
                "ForAnyValue:StringEquals": own_alias,
                "Bool": {"kms:GrantIsForAWSResource": "true"},
            }
            statements.append(Statement(f"{sid}Volumes", ["kms:CreateGrant"], keys, conditions))
        return statements

    def grant_decrypt(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let the grantee decrypt. A principal of another account must also be admitted by the key's policy."""
        return grant(grantee, self.statements("decrypt"))

    def grant_encrypt_decrypt(self, grantee: iam.IGrantable, *, jobs: bool = False) -> iam.Grant:
        """Let the grantee encrypt and decrypt; with ``jobs`` (default: not) SageMaker jobs' outputs and volumes too."""
        return grant(grantee, self.statements("encrypt_decrypt", job_outputs=jobs, volumes=jobs))


class KmsSharedKey(SharedKey):
    """A customer-managed key with yearly rotation, an alias, and a key policy for principals of other accounts.

    Parameters
    ----------
    alias_name
        Such as ``alias/mlops-artifacts``.
    external_principals
        Who of other accounts may use the key. Default: nobody. The policy grows with these, not with the models.
    description
        Default: says what the key is for by its alias.
    removal
        Default: the key and its alias stay when the stack goes. Destroying needs the context flag
        ``cdk-mlops:allow-destroy`` too.

    Raises
    ------
    ValueError
        If the alias can't be one, or data would be destroyed without the context flag.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        alias_name: str,
        external_principals: Sequence[ExternalPrincipals] = (),
        description: str | None = None,
        removal: RemovalPolicy | None = None,
    ) -> None:
        check_pattern(
            "alias_name",
            alias_name,
            _ALIAS,
            "begin with alias/ (not alias/aws/) and hold letters, digits, /_-",
        )
        removal = checked_removal(scope, removal)
        stack = Stack.of(scope)
        super().__init__(
            scope, construct_id, alias_name=alias_name, account=stack.account, region=stack.region
        )
        self._log_groups: list[str] = []
        self.key = kms.Key(
            self,
            "Resource",
            enable_key_rotation=True,
            description=f"Encrypts what {alias_name} stands for" if description is None else description,
            removal_policy=removal,
        )
        alias = kms.Alias(self, "Alias", alias_name=alias_name, target_key=self.key)
        # Without its alias a retained key would be locked: every permission names the key by it.
        alias.apply_removal_policy(removal)
        for number, principals in enumerate(external_principals, start=1):
            self._admit(f"External{number}", principals)

    def allow_service(self, service: str) -> None:
        """Let an AWS service encrypt with the key when it publishes to a topic.

        No condition on the source: EventBridge sends none
        (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-encryption.html), so use a key that
        encrypts alerts and nothing else.
        """
        self.key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="Publish" + "".join(word.title() for word in service.split(".")[0].split("-")),
                principals=[iam.ServicePrincipal(service)],
                actions=["kms:Decrypt", "kms:GenerateDataKey*"],
                resources=["*"],
            )
        )

    def allow_log_groups(self, pattern: str) -> None:
        """Let CloudWatch Logs encrypt this account's log groups of a pattern, such as ``/aws/lambda/*``.

        See https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
        """
        if pattern in self._log_groups:
            return
        self._log_groups.append(pattern)
        suffix = "amazonaws.com.cn" if self.key_region.startswith("cn-") else "amazonaws.com"
        groups = arn(self, "logs", f"log-group:{pattern}", account=self.account, region=self.key_region)
        self.key.add_to_resource_policy(
            iam.PolicyStatement(
                sid=f"LogGroups{len(self._log_groups)}",
                principals=[iam.ServicePrincipal(f"logs.{self.key_region}.{suffix}")],
                actions=[
                    "kms:Encrypt",
                    "kms:Decrypt",
                    "kms:ReEncrypt*",
                    "kms:GenerateDataKey*",
                    "kms:DescribeKey",
                ],
                resources=["*"],
                conditions={"ArnLike": {"kms:EncryptionContext:aws:logs:arn": groups}},
            )
        )

    def _admit(self, sid: str, principals: ExternalPrincipals) -> None:
        # S3 and KMS reject a principal that doesn't exist yet: the account's root under the role's ARN pattern
        # doesn't.
        root = iam.ArnPrincipal(iam_arn(self, "root", account=principals.account))
        roles = iam_arn(self, f"role{principals.role_path}", account=principals.account)
        # The trailing * admits the domains of all partitions.
        via = [f"{service}.{self.key_region}.amazonaws.com*" for service in principals.via]
        self.key.add_to_resource_policy(
            iam.PolicyStatement(
                sid=sid,
                principals=[root],
                actions=list(_actions(principals.use, principals.job_outputs)),
                resources=["*"],
                conditions={"ArnLike": {"aws:PrincipalArn": roles}, "StringLike": {"kms:ViaService": via}},
            )
        )

    @staticmethod
    def from_alias_arn(scope: Construct, construct_id: str, alias_arn: str) -> SharedKey:
        """Use a key that exists, of this or another account, by its alias.

        Grants then add the identity side only: the key's policy can't be changed from here. Its owner must
        admit the grantee's role path there.
        """
        check_pattern("alias_arn", alias_arn, _ALIAS_ARN, "be arn:aws:kms:<region>:<account>:alias/<name>")
        if Token.is_unresolved(alias_arn):
            raise ValueError(f"alias_arn must be written out, not a token, got '{alias_arn}'")
        parts = Arn.split(alias_arn, ArnFormat.SLASH_RESOURCE_NAME)
        return SharedKey(
            scope,
            construct_id,
            alias_name=f"{parts.resource}/{parts.resource_name}",
            account=str(parts.account),
            region=str(parts.region),
        )


def _actions(use: KeyUse, job_outputs: bool) -> tuple[str, ...]:
    return _ACTIONS[use] + (_JOB_OUTPUTS if job_outputs else ())
