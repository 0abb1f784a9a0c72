"""What people are told of a commit on its way to prod: one message an outcome, and what each stage runs then."""

from __future__ import annotations

from typing import Any

import pytest

from delivery_notifier.events import BadEvent
from delivery_notifier.handler import handle
from delivery_notifier.route import Route
from shared import aws
from shared.claims import ClaimedElsewhere
from shared.environment import EnvironmentProblem
from tests.handlers.delivery_world import (
    BUCKET,
    COMMIT,
    LOG,
    PERSON,
    PIPELINE,
    RUN,
    TOPIC,
    World,
    acts,
    ends,
)
from tests.handlers.fake_aws import REGION, Context, refusal

PAGE = f"https://{REGION}.console.aws.amazon.com/codesuite/codepipeline/pipelines/{PIPELINE}"


def failed(stage: str, action: str, **result: Any) -> World:
    world = World().gets_to(stage, action, "Failed", **result)
    assert world.tell(ends("FAILED")) == "sent"
    return world


def test_a_commit_in_prod_is_told_with_who_let_it_pass_and_the_way_back() -> None:
    world = World().gets_to("Prod", "Check", "Succeeded")
    promoted = next(one for one in world.codepipeline.details if one["actionName"] == "PromoteToProd")
    promoted |= {
        "updatedBy": PERSON,
        "output": {"executionResult": {"externalExecutionSummary": "looks right"}},
    }
    assert world.tell(ends("SUCCEEDED")) == "sent"
    assert world.subject == "[delivery] mlops-delivery: commit 1a2b3c4d5e6f is in prod"
    assert f"Commit {COMMIT}: Raise the gate to 0.86." in world.under("What happened")
    assert f"PromoteToProd was approved by {PERSON}: looks right." in world.under("Why")
    assert "dev, staging, prod" in world.under("What was done by itself")
    assert "make rollback STAGE=prod" in world.under("What to do next")


@pytest.mark.parametrize(
    ("stage", "action", "title"),
    [
        ("Source", "source", "could not be fetched"),
        ("Build", "Synth", "failed its tests or its synthesis"),
        ("UpdatePipeline", "SelfMutate", "could not update the pipeline"),
        ("Assets", "FileAssets", "could not publish its files"),
    ],
)
def test_a_failure_before_the_first_stage_says_that_nothing_was_deployed(
    stage: str, action: str, title: str
) -> None:
    world = failed(stage, action, reason="exit status 2")
    assert world.subject.endswith(title)
    assert "Nothing was deployed: dev, staging and prod are as before." in world.under(
        "What was done by itself"
    )
    assert "exit status 2" in world.under("Why")
    assert f"Its log: {LOG}" in world.under("What to do next")


def test_a_failed_check_in_dev_leaves_staging_and_prod_untouched() -> None:
    world = failed("RegistryAndDev", "Check", reason="ModelRejected: cross-validated AUC 0.80 is below 0.85")
    assert world.subject.endswith("failed its check in dev")
    done = world.under("What was done by itself")
    assert "RegistryStack and DevStack were deployed, with this commit." in done
    assert "staging and prod are untouched." in done
    assert "ModelRejected: cross-validated AUC 0.80 is below 0.85" in world.under("Why")
    assert "make rollback STAGE=dev" in world.under("What to do next")


def test_a_failed_check_in_staging_says_what_dev_and_prod_run() -> None:
    done = failed("Staging", "Check").under("What was done by itself")
    assert "dev runs this commit." in done
    assert "StagingStack was deployed, with this commit." in done
    assert "prod is untouched." in done


def test_a_failed_deployment_of_prod_says_that_it_runs_its_previous_definitions() -> None:
    world = failed("Prod", "ProdStack.Deploy", reason="Resource handler returned message: no")
    assert world.subject.endswith("could not be deployed to prod (ProdStack)")
    done = world.under("What was done by itself")
    assert "dev and staging run this commit." in done
    assert "CloudFormation rolls ProdStack back by itself" in done
    assert "prod runs its previous definitions." in done
    assert "events of ProdStack" in world.under("What to do next")


def test_a_stack_beside_one_that_failed_keeps_the_commit() -> None:
    world = World().gets_to("RegistryAndDev", "Registry.RegistryStack.Deploy", "Failed")
    world.runs("RegistryAndDev", "Dev.DevStack.Deploy")
    world.tell(ends("FAILED"))
    done = world.under("What was done by itself")
    assert "CloudFormation rolls RegistryStack back" in done
    assert "DevStack was deployed, with this commit." in done
    assert "dev runs its previous definitions" not in done


def test_a_change_set_that_could_not_be_made_deployed_nothing() -> None:
    done = failed("Prod", "ProdStack.Prepare").under("What was done by itself")
    assert "Nothing was deployed to prod." in done
    assert "rolls" not in done


def test_a_failed_check_in_prod_gives_the_command_that_goes_back() -> None:
    world = failed("Prod", "Check", reason="the scores differ by 0.2")
    assert "ProdStack was deployed, with this commit." in world.under("What was done by itself")
    assert "make rollback STAGE=prod" in world.under("What to do next").splitlines()[0]


def test_a_refused_promotion_names_who_refused_it_and_why() -> None:
    world = failed("Prod", "PromoteToProd", reason="wait for the audit", by=PERSON)
    assert world.subject.endswith("was refused before prod")
    assert f"Refused by {PERSON}: wait for the audit" in world.under("Why")
    assert "Nothing was deployed to prod." in world.under("What was done by itself")


def test_permissions_that_nobody_confirmed_deploy_nothing_there() -> None:
    world = failed("Staging", "ConfirmPermissions", by=PERSON)
    assert world.subject.endswith("lacks a confirmation of its permissions in staging")
    done = world.under("What was done by itself")
    assert "Nothing was deployed to staging." in done
    assert "prod is untouched." in done


def test_a_gate_that_broke_is_the_reason_and_not_the_approval_that_it_answered() -> None:
    world = World().gets_to("Prod", "ConfirmPermissions", "Failed", reason="the comparison broke", by=PERSON)
    world.runs("Prod", "Permissions", "Failed", reason="AccessDenied")
    world.tell(ends("FAILED"))
    assert world.subject.endswith("did not reach prod: Permissions failed")
    assert "AccessDenied" in world.under("Why").splitlines()[0]
    assert "ConfirmPermissions of Prod failed too: the comparison broke." in world.under("Why")


def test_an_approval_that_waits_shows_summary_and_review() -> None:
    world = World().gets_to("Prod", "PromoteToProd", "InProgress")
    assert world.tell(acts("Prod", "PromoteToProd")) == "sent"
    assert world.subject == "[delivery] mlops-delivery: commit 1a2b3c4d5e6f waits for approval before prod"
    happened = world.under("What happened")
    assert "version 3: AUC 0.904, +0.012" in happened
    assert "2 definitions change" in happened
    assert "dev, staging" in world.under("What was done by itself")
    assert "Read the review: https://review" in world.under("What to do next")
    assert f"{PAGE}/view?region={REGION}" in world.under("What to do next")


def test_the_approvals_own_text_is_shown_where_no_action_exports_a_summary() -> None:
    world = World()
    shown = {"CustomData": "look at dev", "ExternalEntityLink": "https://elsewhere"}
    world.runs("Prod", "PromoteToProd", "InProgress", shown=shown)
    world.tell(acts("Prod", "PromoteToProd"))
    assert "look at dev" in world.under("What happened")
    assert "https://elsewhere" in world.under("What to do next")


def test_the_gates_approval_is_left_to_the_gate_which_tells_only_what_widens() -> None:
    world = World().gets_to("Staging", "ConfirmPermissions", "InProgress")
    assert world.tell(acts("Staging", "ConfirmPermissions")) == "ignored"


def test_a_gate_that_broke_leaves_an_approval_waiting_which_people_are_told_at_once() -> None:
    world = World().gets_to("Staging", "ConfirmPermissions", "InProgress")
    world.runs("Staging", "Permissions", "Failed", reason="AccessDenied")
    assert world.tell(acts("Staging", "Permissions", "FAILED")) == "sent"
    assert world.subject.endswith("waits: Permissions failed before staging")
    assert "AccessDenied" in world.under("Why")
    done = world.under("What was done by itself")
    assert "dev runs this commit." in done
    assert "Nothing was deployed to staging." in done
    assert "prod is untouched." in done
    assert "Refuse the approval of Staging" in world.under("What to do next")
    assert LOG in world.under("What to do next")


def test_a_gate_that_broke_and_rejected_its_approval_is_told_by_the_executions_end() -> None:
    world = World().gets_to("Staging", "ConfirmPermissions", "Failed", reason="it broke")
    world.runs("Staging", "Permissions", "Failed", reason="AccessDenied")
    assert world.tell(acts("Staging", "Permissions", "FAILED")) == "ignored"


@pytest.mark.parametrize(("action", "state"), [("Permissions", "SUCCEEDED"), ("Check", "FAILED")])
def test_other_builds_are_told_by_the_executions_end(action: str, state: str) -> None:
    assert World().tell(acts("Staging", action, state)) == "ignored"


@pytest.mark.parametrize("state", ["SUCCEEDED", "FAILED", "ABANDONED"])
def test_an_answered_approval_is_told_by_the_executions_end(state: str) -> None:
    assert World().tell(acts("Prod", "PromoteToProd", state)) == "ignored"


@pytest.mark.parametrize("state", ["STARTED", "RESUMED", "STOPPING", "CANCELED"])
def test_what_is_no_end_is_not_told(state: str) -> None:
    world = World()
    assert world.tell(ends(state)) == "ignored"
    assert world.sns.published == []


def test_another_pipeline_is_not_told() -> None:
    assert World().tell(ends("FAILED", pipeline="theirs")) == "ignored"


def test_a_stopped_execution_says_where_and_what_each_stage_runs() -> None:
    world = World().gets_to("Staging", "StagingStack.Prepare", "Abandoned")
    world.codepipeline.execution["statusSummary"] = "stopped by grace: wrong branch"
    world.tell(ends("STOPPED"))
    assert world.subject.endswith("was stopped in Staging")
    assert "wrong branch" in world.under("Why")
    assert "dev runs this commit." in world.under("What was done by itself")
    assert "prod is untouched." in world.under("What was done by itself")


def test_a_commit_that_a_newer_one_overtook_asks_for_nothing() -> None:
    world = World().gets_to("Staging", "Check", "Succeeded")
    world.tell(ends("SUPERSEDED"))
    assert world.subject.endswith("was overtaken by a newer one")
    assert world.under("What to do next").splitlines()[0].strip() == "Nothing."


def test_a_duplicate_event_sends_nothing_again() -> None:
    world = World().gets_to("Build", "Synth")
    assert world.tell(ends("FAILED"), "one") == "sent"
    assert world.tell(ends("FAILED"), "two") == "sent before"
    assert len(world.sns.published) == 1
    claim = world.s3.json(BUCKET, f"state/notices/{PIPELINE}/{RUN}-1-failed.json")
    assert (claim["state"], claim["commit"]) == ("sent", COMMIT)


def test_a_retried_stage_that_fails_again_is_told_again_with_its_new_reason() -> None:
    world = World().gets_to("Staging", "Check", "Failed", reason="first")
    world.tell(ends("FAILED", attempt=1))
    world.runs("Staging", "Check", "Failed", reason="second")
    assert world.tell(ends("FAILED", attempt=2)) == "sent"
    assert "second" in world.sns.published[-1]["Message"]
    assert "first" not in world.sns.published[-1]["Message"]
    assert "attempt 2" in world.sns.published[-1]["Message"]


def test_an_event_without_an_attempt_counts_as_the_first() -> None:
    world = World().gets_to("Build", "Synth")
    world.tell(ends("FAILED", attempt=None))
    assert world.tell(ends("FAILED", attempt=1)) == "sent before"


def test_one_that_is_being_sent_is_left_to_the_other_and_taken_over_when_that_is_dead() -> None:
    world = World().gets_to("Build", "Synth")
    world.sns.fail("Publish", refusal("InternalError"))
    with pytest.raises(Exception, match="InternalError"):
        world.tell(ends("FAILED"), "one")
    with pytest.raises(ClaimedElsewhere):
        world.tell(ends("FAILED"), "two")
    world.clock.sleep(181)
    assert world.tell(ends("FAILED"), "two") == "sent"


def test_a_history_that_lags_behind_the_event_is_waited_for() -> None:
    world = World().gets_to("Prod", "Check", reason="the scores differ")
    world.codepipeline.appears_after = 2
    world.tell(ends("FAILED"))
    assert "the scores differ" in world.under("Why")


def test_a_failure_whose_action_never_shows_up_is_told_all_the_same() -> None:
    world = World()
    world.tell(ends("FAILED"))
    assert world.subject == "[delivery] mlops-delivery: commit 1a2b3c4d5e6f failed"
    assert f"{PAGE}/executions/{RUN}" in world.under("What to do next")


@pytest.mark.parametrize("state", ["SUCCEEDED", "FAILED", "STOPPED", "SUPERSEDED"])
def test_where_codepipeline_cannot_be_read_the_outcome_is_told_all_the_same(state: str) -> None:
    world = World()
    world.codepipeline.fail("ListActionExecutions", refusal("AccessDeniedException", "not allowed"))
    assert world.tell(ends(state)) == "sent"
    assert world.subject.startswith("[delivery] mlops-delivery: a commit ")


def test_what_cannot_be_put_into_words_is_told_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object) -> None:
        raise KeyError("a shape nobody knew")

    monkeypatch.setattr("delivery_notifier.notifier.compose", breaks)
    world = World().gets_to("Build", "Synth")
    assert world.tell(ends("FAILED")) == "sent"
    assert "KeyError" in world.under("Why")


def test_a_subject_fits_whatever_the_pipeline_is_called() -> None:
    world = World().gets_to("Prod", "ProdStack.Deploy", "Failed", reason="ä" * 5_000)
    world.tell(ends("FAILED"))
    assert len(world.subject) < 100
    assert world.subject.isascii()
    assert len(world.under("Why")) < 1_100


@pytest.mark.parametrize(
    "event",
    [
        {"detail-type": "CodePipeline Stage Execution State Change", "detail": {}},
        {"detail-type": "CodePipeline Pipeline Execution State Change"},
        {
            "detail-type": "CodePipeline Pipeline Execution State Change",
            "detail": {"pipeline": PIPELINE, "state": "FAILED"},
        },
    ],
)
def test_fails_on_an_event_that_is_not_what_it_says(event: dict[str, Any]) -> None:
    with pytest.raises(BadEvent):
        World().tell(event)


@pytest.mark.parametrize("text", ["Prod", "Prod=", "=prod", "Prod=prod=x"])
def test_fails_when_the_stages_are_no_pairs(text: str) -> None:
    with pytest.raises(EnvironmentProblem, match="STAGES must hold pairs such as Prod=prod"):
        Route.read(pipeline=PIPELINE, stages=[text], approvals=["PromoteToProd"], region=REGION)


def test_the_handler_reads_its_environment_and_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World().gets_to("Build", "Synth")
    clients = {"s3": world.s3, "sns": world.sns, "codepipeline": world.codepipeline}
    monkeypatch.setattr(aws, "client", clients.__getitem__)
    for name, value in {
        "PIPELINE_NAME": PIPELINE,
        "STAGES": "RegistryAndDev=dev,Prod=prod",
        "APPROVALS": "PromoteToProd",
        "GATES": "Permissions",
        "STATE_BUCKET": BUCKET,
        "TOPIC_ARN": TOPIC,
    }.items():
        monkeypatch.setenv(name, value)
    assert handle(ends("FAILED"), Context())["notice"] == "sent"
    assert "dev and prod are as before" in world.body
    assert handle(ends("STARTED"), Context())["notice"] == "ignored"
