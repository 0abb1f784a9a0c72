"""The shapes of a pipeline that can't be a parameter, so that each is compiled."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Variant:
    """One of the shapes that can't be a parameter.

    Parameters
    ----------
    name
        Folder of the variant.
    vpc
        Whether every job and model runs in two subnets with one security group.
    model_monitor
        Whether SageMaker Model Monitor checks the data, instead of our own program.
    """

    name: str
    vpc: bool
    model_monitor: bool


VARIANTS: Mapping[str, Variant] = MappingProxyType(
    {
        variant.name: variant
        for variant in (
            Variant("default", vpc=False, model_monitor=False),
            Variant("vpc", vpc=True, model_monitor=False),
            Variant("model-monitor", vpc=False, model_monitor=True),
            Variant("model-monitor-vpc", vpc=True, model_monitor=True),
        )
    }
)
