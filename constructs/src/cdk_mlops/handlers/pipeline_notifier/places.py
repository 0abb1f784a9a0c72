"""Where people look and what they type next: console pages of the right region and partition, and commands."""

from __future__ import annotations

from shlex import quote as quote_word
from urllib.parse import quote

from pipeline_notifier.causes import FailedStep
from pipeline_notifier.events import Run
from pipeline_notifier.facts import Facts
from shared.aws import Arn, console_host

# Stands in a command where the batch isn't known: the command must not score the default batch unseen.
UNKNOWN_BATCH = "s3://<the batch>"
NEWEST_APPROVED = "newest_approved"
_LOG_GROUPS = {
    "ProcessingJob": "/aws/sagemaker/ProcessingJobs",
    "QualityCheck": "/aws/sagemaker/ProcessingJobs",
    "TrainingJob": "/aws/sagemaker/TrainingJobs",
    "TransformJob": "/aws/sagemaker/TransformJobs",
}


def bucket_page(region: str, bucket: str, prefix: str) -> str:
    """Console page of a folder in a bucket."""
    return f"https://{console_host(region)}/s3/buckets/{bucket}?region={region}&prefix={quote(prefix)}"


def object_page(region: str, bucket: str, key: str) -> str:
    """Console page of an object, where it can be opened with the reader's own permissions."""
    return f"https://{console_host(region)}/s3/object/{bucket}?region={region}&prefix={quote(key)}"


def fetch(uri: str, stage: str, region: str) -> str:
    """Command that gets an HTML file from S3 and opens it in the browser."""
    name = uri.rsplit("/", 1)[-1]
    return (
        f"aws s3 cp --profile mlops-{stage} --region {region} {quote_word(uri)} {name} && "
        f'python3 -m webbrowser -t "file://$PWD/{name}"'
    )


def show(uri: str, stage: str, region: str) -> str:
    """Command that prints a file from S3."""
    return f"aws s3 cp --profile mlops-{stage} --region {region} {quote_word(uri)} -"


def log_page(region: str, group: str) -> str:
    """Console page of a log group."""
    # the console wants the name encoded twice, with $25 for the percent sign
    encoded = quote(quote(group, safe=""), safe="").replace("%", "$")
    return f"https://{console_host(region)}/cloudwatch/home?region={region}#logsV2:log-groups/log-group/{encoded}"


def step_logs(step: FailedStep, region: str) -> list[str]:
    """Where the logs of a failed step are."""
    lines = []
    for kind, arn in step.jobs:
        try:
            resource = Arn.parse(arn).resource
        except ValueError:
            continue
        if kind in _LOG_GROUPS:
            group, stream = _LOG_GROUPS[kind], resource.rsplit("/", 1)[-1]
            lines.append(f"Logs of the job {stream}: {log_page(region, group)}")
        elif kind == "Lambda":
            name = resource.split(":")[1] if ":" in resource else resource
            lines.append(f"Logs of the function {name}: {log_page(region, f'/aws/lambda/{name}')}")
    return lines


def start_again(run: Run, stage: str, **parameters: str) -> str:
    """Command of the AWS CLI that starts the pipeline with other values of its parameters."""
    words = " ".join(quote_word(f"Name={name},Value={value}") for name, value in parameters.items())
    given = f" --pipeline-parameters {words}" if words else ""
    return (
        f"aws sagemaker start-pipeline-execution --profile mlops-{stage} --region {run.pipeline_arn.region} "
        f"--pipeline-name {run.pipeline}{given}"
    )


def make_run(kind: str, stage: str, model: str, **given: str) -> str:
    """Command of the repository that starts a model's pipeline and follows it."""
    words = {"PIPELINE": kind, "STAGE": stage, "MODEL": model, **given}
    return "make run " + " ".join(f"{name}={quote_word(value)}" for name, value in words.items())


def again(facts: Facts, stage: str, **more: str) -> str:
    """Command that starts the same run again, with the same batch and version."""
    if not facts.kind:
        return start_again(facts.run, stage)
    if facts.kind == "quality":
        # without a name it would take what has waited longest, which may be other ground truth
        named = {"INPUT": facts.ground_truth} if facts.ground_truth else {}
        return make_run(facts.kind, stage, facts.model, **named, **more)
    if facts.kind != "inference":
        return make_run(facts.kind, stage, facts.model, **more)
    given = {"INPUT": facts.batch.uri or UNKNOWN_BATCH, **version_wanted(facts, "VERSION"), **more}
    return make_run(facts.kind, stage, facts.model, **given)


def version_wanted(facts: Facts, name: str) -> dict[str, str]:
    """The version that the run had asked for, under that name; nothing where it took the newest approved one."""
    wanted = facts.parameters.get("ModelVersion", NEWEST_APPROVED)
    return {} if wanted == NEWEST_APPROVED else {name: wanted}
