"""What every pipeline begins with: the parameters that a stack fills in, and what makes its steps."""

from dataclasses import dataclass
from typing import Any

from pipeline_code.jobs import Steps
from pipeline_code.model_config import ModelConfig
from pipeline_code.sdk import Parameters, notebook_defaults, session_for
from pipeline_code.variants import Variant


@dataclass(frozen=True)
class Frame:
    """The parameters that all pipelines have, declared, and the maker of their steps.

    Attributes
    ----------
    parameters
        To declare more of them with.
    steps
        Makes steps that run with the pipeline's role, code, image and network.
    image, code, run_uri, data_key, model_package_group, git_commit, definition_sha256
        The parameters ``ImageUri``, ``CodeUri``, ``RunUri``, ``DataKeyArn``, ``ModelPackageGroupArn``, ``GitCommit``
        and ``DefinitionSha256``.
    """

    parameters: Parameters
    steps: Steps
    image: Any
    code: Any
    run_uri: Any
    data_key: Any
    model_package_group: Any
    git_commit: Any
    definition_sha256: Any


def begin(
    kind: str,
    *,
    model: ModelConfig,
    shape: Variant,
    region: str | None,
    jobs: str,
    base_job_prefix: str | None,
    model_name: str | None,
    **known: Any,
) -> Frame:
    """Return the frame of a pipeline.

    Parameters
    ----------
    kind
        ``train``, ``inference`` or ``quality``.
    model, shape
        What is compiled.
    region, base_job_prefix, model_name
        As of the pipelines' `get_pipeline`; None leaves the model's own.
    jobs
        The kind whose role runs the jobs: their names begin so.
    known
        What else a notebook knows, see `pipeline_code.sdk.notebook_defaults`.

    Raises
    ------
    ValueError
        If the region has no container image.
    """
    session = session_for(region)
    p = Parameters(
        notebook_defaults(
            kind=kind,
            model_name=model.model_name if model_name is None else model_name,
            region=region,
            **known,
        )
    )
    role, code, image = p.string("RoleArn"), p.string("CodeUri"), p.string("ImageUri")
    run_uri, data_key = p.string("RunUri"), p.string("DataKeyArn")
    model_package_group = p.string("ModelPackageGroupArn")
    git_commit, definition_sha256 = p.string("GitCommit"), p.string("DefinitionSha256")
    subnets = [p.string("SubnetId1"), p.string("SubnetId2")] if shape.vpc else []
    steps = Steps(
        session=session,
        step_prefix=model.step_prefix,
        job_prefix=f"{model.prefix if base_job_prefix is None else base_job_prefix}-{jobs}",
        role=role,
        image=image,
        code=code,
        volume_key=data_key,
        subnets=subnets,
        security_groups=[p.string("SecurityGroupId")] if shape.vpc else [],
    )
    return Frame(
        parameters=p,
        steps=steps,
        image=image,
        code=code,
        run_uri=run_uri,
        data_key=data_key,
        model_package_group=model_package_group,
        git_commit=git_commit,
        definition_sha256=definition_sha256,
    )
