"""After two promotions: which commit made a version, and the way back to the first one's definitions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rehearsal import promotions
from rehearsal.desk import last_line
from rehearsal.errors import check
from rehearsal.estate import state
from rehearsal.world import World


def way_back(world: World) -> None:
    """Trace a version, roll prod back, see that CloudFormation's picture is true, and deploy again."""
    record = world.record
    with record.part(
        "The way back", "make trace names the commit; make rollback brings the first definitions back"
    ):
        first, second = promoted(world)
        world.desk.pull()
        with record.step("A person", "make trace") as row:
            traced = json.loads(world.desk.make("trace", "VERSION=1", "JSON=true"))
            commit = str(traced.get("commit", ""))
            check(commit == first["commit"], f"version 1 is traced to commit {first['commit']}", commit)
            row.said = f"version 1 was made by commit {commit[:12]}"
        with record.step("A person", "make rollback") as row:
            row.said = world.desk.make("rollback", "STAGE=prod").strip().splitlines()[-1]
        after = state(world, "prod").definitions
        check(after == first["definitions"], "prod has the first promotion's definitions", after)
        used = promotions.prod_scores(world, "prod scores a batch after the rollback")
        check(
            used["definition_sha256"] in first["definitions"].values(),
            "the batch was scored by the first promotion's definition",
            used["definition_sha256"],
        )
        with record.step("A person", "cdk diff") as row:
            code, text = world.desk.cdk_attempt("diff", "ProdStack", "--fail", account="prod")
            check(code == 1, "cdk diff tells what the next deployment changes", f"exit code {code}")
            row.said = next(
                (line for line in reversed(text.splitlines()) if "ifference" in line), "differences"
            )
        with record.step("A person", "cdk deploy") as row:
            # Of the assembly that the comparison has just synthesized.
            assembly = ["--app", "cdk.out"]
            world.desk.cdk("deploy", "ProdStack", *assembly, "--require-approval", "never", account="prod")
            again = state(world, "prod").definitions
            check(again == second["definitions"], "the next deployment brings the second definitions", again)
            code, text = world.desk.cdk_attempt("diff", "ProdStack", *assembly, "--fail", account="prod")
            check(code == 0, "cdk diff finds nothing left to deploy", f"exit code {code}: {last_line(text)}")
            row.said = "no no-op: prod has the second promotion's definitions again, and cdk diff is empty"


def promoted(world: World) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return the records of the first and the last promotion to prod."""
    stage = world.stage("prod")
    s3 = world.client("prod", "s3")
    listed = s3.list_objects_v2(Bucket=stage.data_bucket_name, Prefix="_promotions/").get("Contents", [])
    keys = sorted(one["Key"] for one in listed if one["Key"].endswith("/promotion.json"))
    check(len(keys) > 1, "two promotions to prod are recorded", keys)
    found = [world.read_json(f"s3://{stage.data_bucket_name}/{key}", "prod") for key in (keys[0], keys[-1])]
    check(
        found[0]["definitions"] != found[1]["definitions"],
        "the two promotions have different definitions",
        found[0]["definitions"],
    )
    return found[0], found[1]
