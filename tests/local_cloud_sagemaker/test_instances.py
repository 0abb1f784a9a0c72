"""Processing jobs on several instances: who gets which objects, what each sees, and how the job ends."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from local_cloud.cloud import LocalCloud
from local_cloud.runner.processing import shares
from tests.local_cloud.engine_kit import eventually, unique
from tests.local_cloud_sagemaker.definitions import get, parameter, pipeline, processing
from tests.local_cloud_sagemaker.stage import ROLE, Run, Stage

KEYS = st.lists(st.text("abc/.0", min_size=1, max_size=6), unique=True, max_size=30)


@given(keys=KEYS, instances=st.integers(1, 9))
def test_sharded_objects_are_dealt_evenly_in_the_order_of_their_keys(keys: list[str], instances: int) -> None:
    objects = [(f"s3://b/p/{key}", key) for key in keys]

    dealt = shares(objects, instances, "ShardedByS3Key")

    assert len(dealt) == instances
    assert sorted(one for share in dealt for one in share) == sorted(objects)  # each once, none lost
    assert max(map(len, dealt)) - min(map(len, dealt)) <= 1
    for place, one in enumerate(sorted(objects)):
        assert dealt[place % instances][place // instances] == one


@given(keys=KEYS, instances=st.integers(1, 9))
def test_replicated_objects_are_everywhere(keys: list[str], instances: int) -> None:
    objects = [(f"s3://b/p/{key}", key) for key in keys]
    assert shares(objects, instances, "FullyReplicated") == [objects] * instances


@pytest.fixture(scope="module")
def stage(cloud: LocalCloud) -> Stage:
    return Stage(cloud)


# writes what an instance sees, leaves a message, and fails where it is told to
LOOK = """
config = json.loads((root.parent / 'config/resourceconfig.json').read_text())
host = config['current_host']
def files(name):
    folder = root / 'input' / name
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob('*') if path.is_file())
seen = {'config': config, 'some': files('some'), 'all': files('all'), 'before': os.listdir(root / 'output/made')}
(root / f'output/made/{host}.json').write_text(json.dumps(seen))
(root / 'output/made/last.json').write_text(json.dumps({'host': host}))
(root.parent / 'output/message').write_text(f'{host} is done')
if os.environ.get('FAILS') == host:
    (root.parent / 'output/message').write_text(f'{host} says why')
    sys.exit(f'{host} has failed')
"""


def look(stage: Stage, instances: Any, objects: int, **environment: str) -> tuple[Run, str]:
    """Run a job on instances; return the run, and where it wrote."""
    key = unique("look")
    for number in range(objects):
        stage.put(f"{key}/in/deep/{number}.csv", "x")
    step = processing(
        "Look",
        stage.program(LOOK),
        inputs={"some": stage.uri(f"{key}/in/"), "all": stage.uri(f"{key}/in/")},
        outputs={"made": stage.uri(f"{key}/made")},
        instances=get("Parameters.Count"),
        sharded=("some",),
        environment=environment,
    )
    run = stage.run(pipeline(step, parameters=[ROLE, parameter("Count", "Integer", 1)]), Count=str(instances))
    return run, f"{key}/made"


def seen(stage: Stage, made: str) -> dict[str, dict[str, Any]]:
    """Return what each instance saw."""
    return {
        key.rsplit("/", 1)[1].removesuffix(".json"): json.loads(stage.read(key))
        for key in stage.keys(f"{made}/algo-")
    }


def job_of(stage: Stage, run: Run) -> dict[str, Any]:
    name = run.steps["Look"]["Metadata"]["ProcessingJob"]["Arn"].rsplit("/", 1)[-1]
    return dict(stage.sagemaker.describe_processing_job(ProcessingJobName=name))


@pytest.mark.cloud
@pytest.mark.xdist_group("sagemaker")
def test_each_instance_has_folders_a_name_and_objects_of_its_own(stage: Stage) -> None:
    run, made = look(stage, 3, objects=5)

    assert run.status == "Succeeded", run.steps
    hosts = ["algo-1", "algo-2", "algo-3"]
    found = seen(stage, made)
    assert {host: one["config"]["current_host"] for host, one in found.items()} == {h: h for h in hosts}
    assert [one["config"]["hosts"] for one in found.values()] == [hosts] * 3
    assert [found[host]["some"] for host in hosts] == [
        ["deep/0.csv", "deep/3.csv"],
        ["deep/1.csv", "deep/4.csv"],
        ["deep/2.csv"],
    ]
    assert [len(one["all"]) for one in found.values()] == [5, 5, 5]
    assert [one["before"] for one in found.values()] == [[], [], []]
    assert json.loads(stage.read(f"{made}/last.json")) == {"host": "algo-3"}  # one name, one object
    job = job_of(stage, run)
    assert job["ProcessingResources"]["ClusterConfig"]["InstanceCount"] == 3
    assert job["ExitMessage"] == "algo-1 is done"
    inputs = {
        one["InputName"]: one["S3Input"].get("S3DataDistributionType") for one in job["ProcessingInputs"]
    }
    assert inputs == {"code": None, "some": "ShardedByS3Key", "all": None}


@pytest.mark.cloud
@pytest.mark.xdist_group("sagemaker")
@pytest.mark.parametrize(("instances", "objects"), [(1, 2), (3, 2)])
def test_there_may_be_one_instance_or_more_than_there_are_objects(
    stage: Stage, instances: int, objects: int
) -> None:
    run, made = look(stage, instances, objects)

    assert run.status == "Succeeded", run.steps
    found = seen(stage, made)
    assert len(found) == instances
    assert sorted(name for one in found.values() for name in one["some"]) == ["deep/0.csv", "deep/1.csv"]
    if instances == 3:
        assert found["algo-3"]["some"] == []


@pytest.mark.cloud
@pytest.mark.xdist_group("sagemaker")
@pytest.mark.parametrize("host", ["algo-1", "algo-2"])
def test_an_instance_that_fails_fails_the_job_with_its_words_and_nothing_is_uploaded(
    stage: Stage, host: str
) -> None:
    run, made = look(stage, 2, 2, FAILS=host)

    assert run.reason("Look") == f"AlgorithmError: {host} has failed, exit code: 1"
    assert job_of(stage, run)["ExitMessage"] == f"{host} says why"
    assert stage.keys(made) == []


@pytest.mark.cloud
@pytest.mark.xdist_group("sagemaker")
@pytest.mark.parametrize(
    ("instances", "told"),
    [
        (0, "instanceCount"),
        (
            101,
            "Value '101' at 'processingResources.clusterConfig.instanceCount' failed to satisfy constraint:",
        ),
    ],
)
def test_a_number_of_instances_that_sagemaker_refuses_fails_the_step(
    stage: Stage, instances: int, told: str
) -> None:
    run, _ = look(stage, instances, 1)

    assert run.status == "Failed"
    assert told.casefold() in run.reason("Look").casefold()


@pytest.mark.cloud
@pytest.mark.xdist_group("sagemaker")
@pytest.mark.parametrize(
    ("count", "distribution", "told"),
    [(101, "ShardedByS3Key", "less than or equal to 100"), (2, "Halves", "FullyReplicated, ShardedByS3Key")],
)
def test_a_definition_that_no_job_could_be_made_of_is_refused(
    stage: Stage, count: int, distribution: str, told: str
) -> None:
    step = processing("Look", stage.uri("code"), inputs={"some": stage.uri("x")}, instances=count)
    step["Arguments"]["ProcessingInputs"][1]["S3Input"]["S3DataDistributionType"] = distribution

    with pytest.raises(ClientError, match=told):
        stage.create(pipeline(step, parameters=[ROLE]))


@pytest.mark.cloud
@pytest.mark.xdist_group("sagemaker")
def test_a_job_that_is_stopped_starts_no_further_instance(stage: Stage, tmp_path: Path) -> None:
    code = f"(pathlib.Path({str(tmp_path)!r}) / str(os.getpid())).touch()\ntime.sleep(60)"
    step = processing("Slow", stage.program(code), instances=3)
    arn = stage.start(stage.create(pipeline(step, parameters=[ROLE])), RoleArn=stage.role)
    eventually(lambda: list(tmp_path.iterdir()))

    stage.sagemaker.stop_pipeline_execution(PipelineExecutionArn=arn, ClientRequestToken=uuid.uuid4().hex)

    assert stage.finish(arn).status == "Stopped"
    assert len(list(tmp_path.iterdir())) == 1
