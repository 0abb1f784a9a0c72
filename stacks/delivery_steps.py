"""What happens around the deployment of a stage: the permissions gate, the review, the approval, the check."""

from __future__ import annotations

from collections.abc import Sequence

import jsii
from aws_cdk import Duration, pipelines
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_codepipeline_actions as actions
from aws_cdk import aws_iam as iam

from cdk_mlops import AlertTopic, StageDataBucket
from stacks.delivery_builds import REVIEW_EXPORTS, Builds, project_name
from stacks.delivery_permissions import PIPELINE, Json, Permissions, allow, assume
from stacks.installation import Settings

CONFIRM, PROMOTE = "ConfirmPermissions", "PromoteToProd"
WAVES = {"dev": "RegistryAndDev", "staging": "Staging", "prod": "Prod"}


@jsii.implements(pipelines.ICodePipelineActionFactory)
class ReviewedApproval(pipelines.Step):
    """A person's approval that shows what the review found.

    CDK Pipelines' own approval step can show text, but not variables of another action.
    """

    def __init__(self, step_id: str, *, review: pipelines.CodeBuildStep) -> None:
        super().__init__(step_id)
        self._summary = review.exported_variable("SUMMARY")
        self._link = review.exported_variable("REVIEW_URL")
        self._discover_referenced_outputs([self._summary, self._link])

    def produce_action(
        self, stage: codepipeline.IStage, *, action_name: str, run_order: int, **_: object
    ) -> pipelines.CodePipelineActionFactoryResult:
        """Add the approval to the pipeline's stage."""
        stage.add_action(
            actions.ManualApprovalAction(
                action_name=action_name,
                run_order=run_order,
                additional_information=self._summary,
                external_entity_link=self._link,
            )
        )
        return pipelines.CodePipelineActionFactoryResult(run_orders_consumed=1)


class Steps:
    """Makes the steps of every stage.

    Parameters
    ----------
    builds
        Makes those that are builds.
    assembly
        What synth wrote.
    stages
        The stages that a commit passes, in order.

    Attributes
    ----------
    checkers
        By stage, the role of the builds that check it.
    """

    def __init__(
        self,
        builds: Builds,
        *,
        assembly: pipelines.IFileSetProducer,
        settings: Settings,
        permissions: Permissions,
        topic: AlertTopic,
        reviews: StageDataBucket,
        stages: Sequence[str],
    ) -> None:
        self._builds, self._assembly = builds, assembly
        self._settings, self._permissions = settings, permissions
        self._topic, self._reviews, self._stages = topic, reviews, stages
        self.checkers: dict[str, iam.IRole] = {}
        self._gatekeeper = builds.role(
            "permissions",
            description="Compares permissions with what is deployed; lets what widens nothing pass",
            projects=[f"permissions-{stage}" for stage in stages],
            statements=[*self._lookup(), *self._gate_statements()],
        )

    def projects(self) -> list[str]:
        """Return the names of all projects that these steps have, synth among them."""
        of_stages = [f"{what}-{stage}" for stage in self._stages for what in ("permissions", "check")]
        return [project_name(one) for one in ("synth", *of_stages, "review")]

    def gate(self, accounts: Sequence[str]) -> list[pipelines.Step]:
        """Return the permissions gate: a person's confirmation, and the build that gives it where nothing widens.

        Both stand in one run order: the build answers the approval that waits beside it.
        """
        stage = accounts[-1]
        build = self._builds.step(
            "Permissions",
            f"permissions-{stage}",
            assembly=self._assembly,
            role=self._gatekeeper,
            commands=[
                f'make permissions STAGES="{" ".join(accounts)}" APPROVAL={PIPELINE}/{WAVES[stage]}/{CONFIRM}'
            ],
            env={"STAGE": stage, "ALERTS_TOPIC_ARN": self._topic.topic.topic_arn},
            timeout=Duration.minutes(30),
        )
        confirmation = pipelines.ManualApprovalStep(
            CONFIRM,
            comment="Approved by the action Permissions where nothing widens; else look at what it has listed.",
        )
        return [build, confirmation]

    def promotion(self, stage: str) -> list[pipelines.Step]:
        """Return what stands before prod: the review, the permissions gate, and a person's approval."""
        review = self._review(stage)
        gate = self.gate([stage])
        approval = ReviewedApproval(PROMOTE, review=review)
        for step in gate:
            step.add_step_dependency(review)
            approval.add_step_dependency(step)
        return [review, *gate, approval]

    def check(self, stage: str, *, also: Sequence[str] = ()) -> pipelines.Step:
        """Return the check of a stage that was just deployed, and the record of what was promoted.

        Parameters
        ----------
        also
            Further projects that run with its role. Default: none.
        """
        role = self.checkers[stage] = self._builds.role(
            f"check-{stage}",
            description=f"Checks {stage} through its checker role",
            projects=[f"check-{stage}", *also],
            statements=[assume("Checker", [self._settings.checker_role_arn(stage)])],
        )
        return self._builds.step(
            "Check",
            f"check-{stage}",
            assembly=self._assembly,
            role=role,
            commands=[f"make check-stage STAGE={stage}", f"make record STAGE={stage}"],
            env={"STAGE": stage},
            timeout=Duration.hours(3),
        )

    def _review(self, stage: str) -> pipelines.CodeBuildStep:
        statements = [
            *self._lookup(),
            *(one.as_json() for one in self._reviews.write_statements("Reviews", "reviews/*")),
            *(one.as_json() for one in self._reviews.key.statements("encrypt", sid="ReviewsKey")),
        ]
        return self._builds.step(
            "Review",
            "review",
            assembly=self._assembly,
            role=self._builds.role(
                "review", description="Writes what a person reads before prod", statements=statements
            ),
            commands=[f"make review STAGE={stage}", '. "$REVIEW_EXPORTS"', "export SUMMARY REVIEW_URL"],
            env={
                "STAGE": stage,
                "REVIEW_BUCKET": self._reviews.bucket_name,
                "REVIEW_EXPORTS": REVIEW_EXPORTS,
            },
            timeout=Duration.minutes(30),
        )

    def _lookup(self) -> list[Json]:
        accounts = ["registry", *self._stages]
        return [assume("Lookup", [self._settings.lookup_role_arn(account) for account in accounts])]

    def _gate_statements(self) -> list[Json]:
        pipeline = self._permissions.pipeline_arn
        approvals = [f"{pipeline}/{WAVES[stage]}/{CONFIRM}" for stage in self._stages]
        return [
            allow("ReadApproval", ["codepipeline:GetPipelineState"], [pipeline]),
            allow("Confirm", ["codepipeline:PutApprovalResult"], approvals),
            *(one.as_json() for one in self._topic.publish_statements()),
        ]
