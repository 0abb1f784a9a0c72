"""What every job of ours must have: SageMaker would take it without, but the job roles are refused.

Isolation from the network, encryption between containers, a key for volume and outputs; and where a definition has
parameters for a network, every job and model must run in it.
"""

from collections.abc import Iterator
from typing import Any

#: Steps whose container is known to work isolated. Model Monitor's hasn't been tried so.
ISOLATED = ("Processing", "Training", "Model")
_TRAFFIC = ("Processing", "QualityCheck", "Training")
_VOLUMES = {
    "Processing": ("ProcessingResources", "ClusterConfig"),
    "QualityCheck": ("ProcessingResources", "ClusterConfig"),
    "Training": ("ResourceConfig",),
    "Transform": ("TransformResources",),
}
_OUTPUTS = {
    "Processing": "ProcessingOutputConfig",
    "QualityCheck": "ProcessingOutputConfig",
    "Training": "OutputDataConfig",
    "Transform": "TransformOutput",
}
_NETWORK_PARAMETER = "SubnetId1"


def has_network(parameters: list[dict[str, Any]]) -> bool:
    """Return whether a definition is for jobs in a network of their own."""
    return any(parameter["Name"] == _NETWORK_PARAMETER for parameter in parameters)


def safeguard_errors(step: dict[str, Any], *, in_network: bool) -> Iterator[str]:
    """Yield what a step's job or model lacks, one line each."""
    name, kind, arguments = step["Name"], step["Type"], step["Arguments"]
    network = arguments.get("NetworkConfig", {}) if kind in ("Processing", "QualityCheck") else arguments
    if kind in ISOLATED and network.get("EnableNetworkIsolation") is not True:
        yield f"step {name}: EnableNetworkIsolation must be true, or the job's role may not create it"
    if kind in _TRAFFIC and network.get("EnableInterContainerTrafficEncryption") is not True:
        yield f"step {name}: EnableInterContainerTrafficEncryption must be true, or the job's role may not create it"
    if in_network and kind in (*ISOLATED, *_TRAFFIC) and not network.get("VpcConfig"):
        yield f"step {name}: has no VpcConfig, although the definition has parameters for a network"
    if kind in _VOLUMES:
        volume = arguments
        for part in _VOLUMES[kind]:
            volume = volume.get(part) or {}
        if not volume.get("VolumeKmsKeyId"):
            yield f"step {name}: has no VolumeKmsKeyId, which the job's role must give"
        if not arguments.get(_OUTPUTS[kind], {}).get("KmsKeyId"):
            yield f"step {name}: {_OUTPUTS[kind]} has no KmsKeyId, which the job's role must give"
