"""CloudFormation actions, pipelines in templates, and the events that pipelines send."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.local_cloud_delivery.world import (
    ACCOUNT,
    BUCKET,
    REGION,
    Pipeline,
    World,
    allow,
    approval,
    kind,
    stage,
    trust,
    wait_for,
)

pytestmark = pytest.mark.cloud


def topic(name: str) -> dict[str, Any]:
    """Return a template with a topic and its name as output."""
    return {
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": name}}},
        "Outputs": {"Name": {"Value": {"Fn::GetAtt": ["Topic", "TopicName"]}}},
    }


class Deployment:
    """A pipeline that deploys a template which its build writes."""

    def __init__(self, world: World, template: dict[str, Any]) -> None:
        self.world, self.stack = world, f"{world.prefix}-stack"
        self.deploy_role = world.role(
            "deploy",
            trust("", world.pipeline_role),
            allow("cloudformation:*", "s3:GetObject"),
            allow("iam:PassRole", resource=f"arn:aws:iam::{ACCOUNT}:role/{world.prefix}-exec"),
        )
        self.exec_role = world.role("exec", trust("cloudformation.amazonaws.com"), allow("*"))
        self.project = world.project("write", spec=self.spec(template))
        self.pipeline = world.create("deploys", *self.stages())

    def spec(self, template: dict[str, Any]) -> dict[str, Any]:
        """Return a buildspec that writes the template and its configuration."""
        configuration = json.dumps({"Tags": {"team": "red"}, "Parameters": {}})
        commands = [f"echo '{json.dumps(template)}' > t.json", f"echo '{configuration}' > c.json"]
        return {
            "version": "0.2",
            "phases": {"build": {"commands": commands}},
            "artifacts": {"files": ["*.json"]},
        }

    def write(self, template: dict[str, Any]) -> None:
        """Let the next execution deploy another template."""
        source = {"type": "CODEPIPELINE", "buildspec": json.dumps(self.spec(template))}
        self.world.codebuild.update_project(name=self.project, source=source)

    def action(self, name: str, mode: str, **more: Any) -> dict[str, Any]:
        """Return a CloudFormation action."""
        made = more.pop("configuration", {})
        return {
            "name": name,
            "actionTypeId": kind("Deploy", "CloudFormation"),
            "roleArn": self.deploy_role,
            "configuration": {"StackName": self.stack, "ActionMode": mode, "ChangeSetName": "Change", **made},
            **more,
        }

    def stages(self) -> list[dict[str, Any]]:
        """Return the stages after the source."""
        prepare = self.action(
            "Prepare",
            "CHANGE_SET_REPLACE",
            inputArtifacts=[{"name": "Written"}],
            configuration={
                "TemplatePath": "Written::t.json",
                "TemplateConfiguration": "Written::c.json",
                "RoleArn": self.exec_role,
                "Capabilities": "CAPABILITY_NAMED_IAM,CAPABILITY_AUTO_EXPAND",
            },
        )
        execute = self.action("Execute", "CHANGE_SET_EXECUTE", runOrder=2, namespace="Deployed")
        build = self.world.build("Write", self.project, outputArtifacts=[{"name": "Written"}])
        show = self.world.project("show", 'echo "deployed $NAME"')
        variables = '[{"name": "NAME", "value": "#{Deployed.Name}"}]'
        after = self.world.build("Show", show, configuration={"EnvironmentVariables": variables})
        return [stage("Build", build), stage("Deploy", prepare, execute), stage("After", after)]

    @property
    def described(self) -> dict[str, Any]:
        """Return the stack."""
        client = self.world.session.client("cloudformation")
        return dict(client.describe_stacks(StackName=self.stack)["Stacks"][0])


def test_a_stack_is_deployed_by_change_set_and_its_outputs_are_variables(world: World) -> None:
    deployment = Deployment(world, topic(f"{world.prefix}-one"))
    assert deployment.pipeline.ended() == "Succeeded"
    assert deployment.described["StackStatus"] == "CREATE_COMPLETE"
    assert deployment.described["Tags"] == [{"Key": "team", "Value": "red"}]
    assert f"deployed {world.prefix}-one" in deployment.pipeline.log("Show")
    assert deployment.pipeline.ended(deployment.pipeline.start()) == "Succeeded", (
        "nothing to change is no failure"
    )
    assert "no changes" in deployment.pipeline.action_state("Deploy", "Execute")["latestExecution"]["summary"]
    assert deployment.described["StackStatus"] == "CREATE_COMPLETE"


def test_a_deployment_that_fails_is_rolled_back_and_names_the_resource(world: World) -> None:
    deployment = Deployment(world, topic(f"{world.prefix}-good"))
    assert deployment.pipeline.ended() == "Succeeded"
    broken = topic(f"{world.prefix}-good")
    broken["Resources"]["Broken"] = {
        "Type": "AWS::Events::EventBusPolicy",
        "Properties": {
            "EventBusName": "none",
            "StatementId": "one",
            "Principal": ACCOUNT,
            "Action": "events:PutEvents",
        },
    }
    deployment.write(broken)
    assert deployment.pipeline.ended(deployment.pipeline.start()) == "Failed"
    why = deployment.pipeline.why("Execute")
    assert why.startswith(
        f"{deployment.stack} ended UPDATE_ROLLBACK_COMPLETE: Broken (AWS::Events::EventBusPolicy)"
    )
    assert "Show" not in deployment.pipeline.actions()


def test_a_template_larger_than_a_request_is_deployed(world: World) -> None:
    large = topic(f"{world.prefix}-large")
    large["Metadata"] = {f"key{number}": "x" * 1000 for number in range(60)}
    assert Deployment(world, large).pipeline.ended() == "Succeeded"


def test_a_deploy_role_that_may_not_pass_the_execution_role_is_refused(world: World) -> None:
    deployment = Deployment(world, topic(f"{world.prefix}-one"))
    deployment.pipeline.ended()
    statements = [allow("cloudformation:*", "s3:GetObject")]
    world.iam.put_role_policy(
        RoleName=f"{world.prefix}-deploy",
        PolicyName="own",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}),
    )
    assert deployment.pipeline.ended(deployment.pipeline.start()) == "Failed"
    assert "iam:PassRole" in deployment.pipeline.why("Prepare")


def upper(value: Any) -> Any:
    """Return a declaration with its names as templates have them."""
    if isinstance(value, dict):
        return {
            key[:1].upper() + key[1:]: item if key == "configuration" else upper(item)
            for key, item in value.items()
        }
    return [upper(item) for item in value] if isinstance(value, list) else value


class InTemplate:
    """A pipeline and a project in a stack, as CDK Pipelines makes them."""

    def __init__(self, world: World) -> None:
        self.world, self.name = world, f"{world.prefix}-piped"
        self.client = world.session.client("cloudformation")
        self.pipeline = Pipeline(world, self.name)

    def template(self, word: str) -> str:
        """Return a template whose project says a word, and whose pipeline knows the word too."""
        spec = json.dumps({"version": "0.2", "phases": {"build": {"commands": [f"echo says {word}"]}}})
        project = {
            "Type": "AWS::CodeBuild::Project",
            "Properties": {
                "Name": f"{self.name}-project",
                "Source": {"Type": "CODEPIPELINE", "BuildSpec": spec},
                "Artifacts": {"Type": "CODEPIPELINE"},
                "Environment": {
                    "Type": "LINUX_CONTAINER",
                    "Image": "any",
                    "ComputeType": "BUILD_GENERAL1_SMALL",
                    "EnvironmentVariables": [{"Name": "WORD", "Type": "PLAINTEXT", "Value": word}],
                },
                "ServiceRole": self.world.build_role,
            },
        }
        build = self.world.build("Say", "to be filled")
        build["configuration"] = {"ProjectName": {"Ref": "Project"}}
        gate = approval("Ask", configuration={"CustomData": word})
        declared = self.world.declaration("piped", stage("Build", build), stage("Gate", gate))
        properties = {**upper(declared), "RestartExecutionOnUpdate": True}
        return json.dumps(
            {
                "Resources": {
                    "Project": project,
                    "Pipeline": {"Type": "AWS::CodePipeline::Pipeline", "Properties": properties},
                },
                "Outputs": {
                    "Name": {"Value": {"Ref": "Pipeline"}},
                    "Version": {"Value": {"Fn::GetAtt": ["Pipeline", "Version"]}},
                },
            }
        )

    def outputs(self) -> dict[str, str]:
        """Return the stack's outputs when it has settled."""

        def settled() -> Any:
            stack = self.client.describe_stacks(StackName=self.name)["Stacks"][0]
            return stack if stack["StackStatus"].endswith("_COMPLETE") else None

        return {one["OutputKey"]: one["OutputValue"] for one in wait_for(settled)["Outputs"]}


def test_an_update_that_says_so_cancels_what_is_on_its_way_and_starts_anew(world: World) -> None:
    own = InTemplate(world)
    own.client.create_stack(StackName=own.name, TemplateBody=own.template("one"))
    assert own.outputs() == {"Name": own.name, "Version": "1"}
    first = own.pipeline.newest
    assert own.pipeline.execution(first)["trigger"]["triggerType"] == "CreatePipeline"
    own.pipeline.token("Gate", "Ask")
    assert "says one" in own.pipeline.log("Say")
    own.client.update_stack(StackName=own.name, TemplateBody=own.template("two"))
    assert own.pipeline.ended(first) == "Cancelled"
    assert own.outputs()["Version"] == "2"
    second = own.pipeline.newest
    assert second != first
    own.pipeline.answer("Gate", "Ask", "Approved")
    assert own.pipeline.ended(second) == "Succeeded"
    assert "says two" in own.pipeline.log("Say")
    assert own.pipeline.actions(first)["Ask"]["status"] == "Abandoned"
    own.client.delete_stack(StackName=own.name)
    wait_for(
        lambda: own.name not in [one["name"] for one in own.pipeline.client.list_pipelines()["pipelines"]]
    )


def test_a_build_that_updates_its_own_pipeline_ends_and_the_next_execution_takes_over(
    world: World, tmp_path: Any
) -> None:
    declaration = world.declaration("mutates", stage("Build", world.build("B", "later")))
    touched = world.project(
        "touched", f"touch {tmp_path}/begun; until [ -e {tmp_path}/go ]; do sleep 0.05; done"
    )
    declaration["stages"][1]["actions"][0]["configuration"]["ProjectName"] = touched
    world.codepipeline.create_pipeline(pipeline=declaration)
    pipeline = Pipeline(world, declaration["name"])
    first = pipeline.newest
    wait_for((tmp_path / "begun").exists)
    world.codepipeline.update_pipeline(pipeline=declaration)
    second = pipeline.start()
    assert pipeline.ended(first) == "Cancelled"
    assert pipeline.actions(first)["B"]["status"] == "InProgress", "the build itself goes on"
    (tmp_path / "go").touch()
    assert pipeline.ended(second) == "Succeeded"
    assert pipeline.actions(first)["B"]["status"] == "Succeeded"
    assert pipeline.actions(second)["B"]["startTime"] >= pipeline.actions(first)["B"]["lastUpdateTime"]


def test_state_changes_reach_the_rules_of_the_default_bus(world: World) -> None:
    sqs, events = world.session.client("sqs"), world.session.client("events")
    name = f"{world.prefix}-fails"
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    queue = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"
    pattern = {"source": ["aws.codepipeline"], "detail": {"pipeline": [name]}}
    rule = events.put_rule(Name=name, EventPattern=json.dumps(pattern))["RuleArn"]
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "events.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": queue,
                "Condition": {"ArnEquals": {"aws:SourceArn": rule}},
            }
        ],
    }
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": queue}])
    pipeline = world.create(
        "fails", stage("Build", world.build("Break", world.project("b", "echo why it broke; exit 7")))
    )
    assert pipeline.ended() == "Failed"
    told: list[dict[str, Any]] = []
    deadline = time.monotonic() + 10
    while len(told) < 10 and time.monotonic() < deadline:
        found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        for message in found:
            told.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    shown = [
        (
            one["detail-type"].split()[1],
            one["detail"].get("action") or one["detail"].get("stage"),
            one["detail"]["state"],
        )
        for one in told
    ]
    assert shown == [
        ("Pipeline", None, "STARTED"),
        ("Stage", "Source", "STARTED"),
        ("Action", "Take", "STARTED"),
        ("Action", "Take", "SUCCEEDED"),
        ("Stage", "Source", "SUCCEEDED"),
        ("Stage", "Build", "STARTED"),
        ("Action", "Break", "STARTED"),
        ("Action", "Break", "FAILED"),
        ("Stage", "Build", "FAILED"),
        ("Pipeline", None, "FAILED"),
    ]
    failed = told[7]
    assert failed["resources"] == [f"arn:aws:codepipeline:{REGION}:{ACCOUNT}:{name}"]
    detail = failed["detail"]
    assert detail["type"]["provider"] == "CodeBuild"
    assert detail["region"] == REGION
    assert detail["execution-id"] == pipeline.newest
    assert detail["execution-result"]["external-execution-summary"].endswith("why it broke")
    assert detail["execution-result"]["error-code"] == "JobFailed"


def test_artifacts_are_kept_under_the_key_of_the_store(world: World) -> None:
    kms = world.session.client("kms")
    key = kms.create_key(
        Policy=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
                        "Action": "kms:*",
                        "Resource": "*",
                    }
                ],
            }
        )
    )["KeyMetadata"]["Arn"]
    store = {"type": "S3", "location": BUCKET, "encryptionKey": {"id": key, "type": "KMS"}}
    build = world.build("Build", world.project("b", "true"))
    pipeline = world.create("keyed", stage("Build", build), artifactStore=store)
    assert pipeline.ended() == "Failed"
    assert "kms:GenerateDataKey" in pipeline.why("Take")
    for role in ("action", "build"):
        policy = {"Version": "2012-10-17", "Statement": [allow("kms:*", resource=key)]}
        world.iam.put_role_policy(
            RoleName=f"{world.prefix}-{role}", PolicyName="key", PolicyDocument=json.dumps(policy)
        )
    assert pipeline.ended(pipeline.start()) == "Succeeded"
