"""What a job must have, or else SageMaker refuses to create it: isolation, encryption, keys, and its network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from constructs import Construct

from cdk_mlops._statements import Statement, arn
from cdk_mlops.job_network import JobNetwork
from cdk_mlops.kms_shared_key import SharedKey

Conditions = Mapping[str, Mapping[str, object]]


@dataclass(frozen=True)
class JobSafeguards:
    """The conditions under which a role may create jobs and models.

    A transform job has neither a network nor containers that talk to each other: it takes the network of its model.

    Parameters
    ----------
    output_keys
        Keys of which one must encrypt the outputs; the first must encrypt the volumes.
    network
        Where jobs and models must run; None says nothing about it.
    isolated_processing
        Whether processing jobs must be isolated, as training jobs and models always are.

    See https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsagemaker.html
    """

    output_keys: Sequence[SharedKey]
    network: JobNetwork | None
    isolated_processing: bool

    def statements(self, scope: Construct, jobs: Sequence[str], own: str) -> list[Statement]:
        """Return the permissions for jobs of these kinds whose names are like `own`."""
        found = []
        for kind in jobs:
            conditions = self._keys(scope)
            if kind != "Transform":
                isolated = kind != "Processing" or self.isolated_processing
                conditions = {**conditions, **self._network(isolated=isolated, traffic=True)}
            found.append(
                Statement(
                    f"Create{kind}Jobs",
                    [f"sagemaker:Create{kind}Job"],
                    [_job_arn(scope, kind, own)],
                    conditions,
                )
            )
        look = [f"sagemaker:{verb}{kind}Job" for kind in jobs for verb in ("Describe", "Stop")]
        return [
            *found,
            Statement(
                "OwnJobs",
                [*look, "sagemaker:AddTags"],
                [_job_arn(scope, kind, own) for kind in jobs],
            ),
        ]

    def of_models(self) -> Conditions:
        """Return the conditions for models, whose network is that of their transform jobs."""
        return self._network(isolated=True, traffic=False)

    def _keys(self, scope: Construct) -> Conditions:
        # Requests carry aliases, and AWS says that these condition keys hold the ARN of the key itself. Its id can't be
        # known where the key is another account's. So both forms are taken; which keys the role can use at all is said
        # by its permissions for KMS, and these go by the alias.
        patterns = {
            key.alias_arn: [
                key.alias_arn,
                arn(scope, "kms", "key/*", account=key.account, region=key.key_region),
            ]
            for key in self.output_keys
        }
        volume = patterns[self.output_keys[0].alias_arn]
        outputs = list(dict.fromkeys(pattern for both in patterns.values() for pattern in both))
        return {"ArnLike": {"sagemaker:VolumeKmsKeyArn": volume, "sagemaker:OutputKmsKeyArn": outputs}}

    def _network(self, *, isolated: bool, traffic: bool) -> Conditions:
        flags = {"sagemaker:NetworkIsolation": "true"} if isolated else {}
        if traffic:
            flags["sagemaker:InterContainerTrafficEncryption"] = "true"
        conditions: dict[str, Mapping[str, object]] = {"Bool": flags} if flags else {}
        if self.network is not None:
            # For all values of a key that isn't there anything is true, so it must be there.
            conditions["ForAllValues:StringEquals"] = {
                "sagemaker:VpcSubnets": list(self.network.subnets),
                "sagemaker:VpcSecurityGroupIds": list(self.network.security_groups),
            }
            conditions["Null"] = {
                "sagemaker:VpcSubnets": "false",
                "sagemaker:VpcSecurityGroupIds": "false",
            }
        return conditions


def _job_arn(scope: Construct, kind: str, own: str) -> str:
    return arn(scope, "sagemaker", f"{kind.lower()}-job/{own}")
