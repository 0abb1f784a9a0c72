"""How a job or model can be asked for: as it is ordained, and each way that it must not be.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsagemaker.html
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tests.permissions.policy import Context
from tests.permissions.world import REGION, STRANGER

SUBNETS = ("subnet-0123456789abcdef0", "subnet-0123456789abcdef1")
GROUP = "sg-0123456789abcdef0"
ORDAINED, FOR_THE_REGISTRY = "as ordained", "with output for the registry"
_CREATES = ("ProcessingJob", "TrainingJob", "TransformJob", "Model")


class Home(NamedTuple):
    """Where who asks is at home: account and stage, and the account of the registry that it delivers to."""

    account: str
    stage: str | None
    registry: str


def is_job(action: str) -> bool:
    """Whether an action makes something that computes."""
    return action in {f"sagemaker:Create{kind}" for kind in _CREATES}


def job_situations(action: str, home: Home) -> Sequence[tuple[str, Context]]:
    """Return what AWS would say of a job's request: the ordained ones first."""
    kind = action.removeprefix("sagemaker:Create")
    own = f"arn:aws:kms:{REGION}:{home.account}"
    artifacts = f"arn:aws:kms:{REGION}:{home.registry}"
    data = f"{own}:alias/mlops-{home.stage}-data"
    right: dict[str, tuple[str, ...]] = {}
    wrong: dict[str, dict[str, tuple[str, ...] | None]] = {}
    also: list[dict[str, tuple[str, ...]]] = []
    artifact: list[tuple[str, Context]] = []
    if kind != "Model":
        other = (f"{own}:alias/other",)
        strangers = f"arn:aws:kms:{REGION}:{STRANGER}"
        foreign = [
            f"{strangers}:{name}" for name in ("key/1", data.rpartition(":")[2], "alias/mlops-artifacts")
        ]
        no_keys = [f"{one}:other-key/1" for one in (own, artifacts)] + [f"{artifacts}:alias/other"]
        for key, word in (("sagemaker:volumekmskeyarn", "volumes"), ("sagemaker:outputkmskeyarn", "output")):
            right[key] = (data,)
            also.append({key: (f"{own}:key/1",)})
            wrong |= {
                f"with {word} under another key": {key: other},
                **{f"with {word} under a stranger's {one}": {key: (one,)} for one in foreign},
                **{f"with {word} under {one}": {key: (one,)} for one in no_keys},
                f"with {word} under no key of ours": {key: None},
            }
    if kind in ("ProcessingJob", "TrainingJob"):
        right |= {
            "sagemaker:networkisolation": ("true",),
            "sagemaker:vpcsubnets": SUBNETS,
            "sagemaker:vpcsecuritygroupids": (GROUP,),
            "sagemaker:intercontainertrafficencryption": ("true",),
        }
        wrong |= {
            "in the clear between containers": {"sagemaker:intercontainertrafficencryption": ("false",)},
            "unsaid between containers": {"sagemaker:intercontainertrafficencryption": None},
        }
        keys = [(f"{artifacts}:{name}",) for name in ("alias/mlops-artifacts", "key/1")]
        artifact = [(FOR_THE_REGISTRY, {**right, "sagemaker:outputkmskeyarn": one}) for one in keys]
    if kind != "TransformJob":
        right |= {
            "sagemaker:networkisolation": ("true",),
            "sagemaker:vpcsubnets": SUBNETS,
            "sagemaker:vpcsecuritygroupids": (GROUP,),
        }
        also += [{"sagemaker:vpcsubnets": (one,)} for one in SUBNETS]
        wrong |= {
            "without isolation": {"sagemaker:networkisolation": ("false",)},
            "unsaid of isolation": {"sagemaker:networkisolation": None},
            "in another subnet": {"sagemaker:vpcsubnets": (SUBNETS[0], "subnet-0fffffffffffffff0")},
            "in no subnet": {"sagemaker:vpcsubnets": None},
            "in another security group": {"sagemaker:vpcsecuritygroupids": (GROUP, "sg-0fffffffffffffff0")},
            "in no security group": {"sagemaker:vpcsecuritygroupids": None},
        }
    found: list[tuple[str, Context]] = [(ORDAINED, right), *((ORDAINED, {**right, **one}) for one in also)]
    found += artifact
    for word, change in wrong.items():
        changed = {key: values for key, values in {**right, **change}.items() if values is not None}
        found.append((word, changed))
    return found
