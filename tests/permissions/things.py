"""The nouns of the intent as concrete resources of an installation, named as in docs/architecture.md."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from tests.permissions.decoys import of_a_stranger, opened, what_aws_may_add
from tests.permissions.estate import Estate
from tests.permissions.objects import DATA_FOLDERS, DATA_OBJECTS, MAINS, NESTED
from tests.permissions.wiring import Triggers, code_assets, log_groups
from tests.permissions.world import (
    DIGEST,
    FUNCTIONS,
    IMAGES_ACCOUNT,
    REGION,
    RUN,
    STAGES,
    Model,
    Thing,
)


class Things:
    """All things of an installation."""

    def __init__(self, estate: Estate) -> None:
        self.estate = estate
        self.accounts, self.models = estate.installation.accounts, estate.installation.models
        self.all: list[Thing] = []
        self._log_groups = log_groups(estate)
        self._keys = {alias: arn for arn, alias in estate.aliases.items()}
        self._by_noun: dict[str, list[Thing]] = defaultdict(list)
        self._stacks = {stack.name: stack for stack in estate.stacks}
        self._triggers = Triggers(estate)
        for stage in STAGES:
            self._stage(stage)
        self._registry()
        self._bootstrap()
        if "DeliveryStack" in self._stacks and any(
            self._stacks["DeliveryStack"].of_type("AWS::CodePipeline::Pipeline")
        ):
            self._delivery()
        self._roles()
        self.all += what_aws_may_add(self.all)
        self.all += [*of_a_stranger(self.all), *opened(self.all, self.accounts["registry"])]

    def named(self, noun: str) -> list[Thing]:
        """Return the things that a noun stands for.

        Raises
        ------
        ValueError
            If there is no such noun: a word that stands for nothing would allow nothing, silently.
        """
        if noun not in self._by_noun:
            raise ValueError(f"the intent names '{noun}', which nothing is called")
        return self._by_noun[noun]

    @property
    def nouns(self) -> Iterable[str]:
        """Return all nouns."""
        return self._by_noun

    def _add(self, noun: str, kind: str, arn: str, account: str, **more: object) -> None:
        if kind == "key" and "context" not in more and arn in self.estate.aliases:
            more["context"] = {"kms:resourcealiases": (self.estate.aliases[arn],)}
        if arn in self._log_groups:
            more["sources"] = self._log_groups[arn]
        thing = Thing(noun, kind, arn, account, **more)  # type: ignore[arg-type]
        self.all.append(thing)
        self._by_noun[noun].append(thing)

    def _object(self, noun: str, bucket: str, name: str, account: str, **more: object) -> None:
        self._add(noun, "object", f"arn:aws:s3:::{bucket}/{name}", account, **more)
        folder = name.rpartition("/")[0]
        self._folder(noun, bucket, f"{folder}/" if folder else "", account, **more)

    def _folder(self, noun: str, bucket: str, prefix: str, account: str, **more: object) -> None:
        more["context"] = {"s3:prefix": (prefix,)}
        self._add(noun, "folder", f"arn:aws:s3:::{bucket}", account, **more)

    def _bucket(self, noun: str, bucket: str, account: str, **more: object) -> None:
        self._add(noun, "bucket", f"arn:aws:s3:::{bucket}", account, **more)
        # Without a prefix, and with an empty one: a condition on the prefix tells them apart.
        self._add(f"{noun} as a whole", "folder", f"arn:aws:s3:::{bucket}", account, **more)
        self._folder(f"all of the {noun}", bucket, "", account, **more)

    def _key_of(self, alias: str) -> str | None:
        return self._keys.get(f"alias/mlops-{alias}")

    def _keys_of_account(self, stage: str | None, account: str) -> None:
        # One without an alias, and one whose alias begins as ours does.
        base = f"arn:aws:kms:{REGION}:{account}:key"
        self._add("other keys", "key", f"{base}/other", account, stage=stage)
        for alias in ("artifacts", "delivery-data") if stage is None else (f"{stage}-data",):
            context = {"kms:resourcealiases": (f"alias/mlops-{alias}2",)}
            self._add("other keys", "key", f"{base}/{alias}2", account, stage=stage, context=context)

    def _stage(self, stage: str) -> None:
        account = self.accounts[stage]
        bucket = f"sagemaker-mlops-{stage}-{account}-{REGION}"
        key = self._key_of(f"{stage}-data")
        own = {"stage": stage, "key": key}

        def arn(service: str, rest: str) -> str:
            return f"arn:aws:{service}:{REGION}:{account}:{rest}"

        self._bucket("data bucket", bucket, account, **own)
        for model in self._models_of(stage):
            its = {**own, "model": model}
            if model.of is not None:
                self._branch(model, bucket, its)
            for noun, name in DATA_OBJECTS:
                if model.of is not None and noun in MAINS:
                    noun = "what else a branch has"
                self._object(noun, bucket, f"{model.name}/{name}", account, **its)
            for noun, name in DATA_FOLDERS:
                if model.of is not None and noun in MAINS:
                    noun = "what else a branch has"
                self._folder(noun, bucket, f"{model.name}/{name}", account, **its)
            self._sagemaker(stage, account, model)
        # What looks like a report or a claim further down is what it lies in: a pattern's "*" crosses slashes.
        for name in NESTED:
            nested = f"{self.models[0].name}/data/train-dataset/{name}"
            self._object("training data", bucket, nested, account, **own, model=self.models[0])
        for noun, name in (
            ("alerts of unknown pipelines", f"state/alerts/{RUN}.json"),
            ("other state of unknown pipelines", f"state/other/{RUN}.json"),
            ("what nobody knows", "other/file.csv"),
        ):
            self._object(noun, bucket, f"_unknown/{name}", account, **own)
        self._object(
            "promotions", bucket, "_promotions/20261121T080000Z-0123456789ab/promotion.json", account, **own
        )
        self._object("what nobody knows", bucket, "other/file.csv", account, **own)
        for noun, alias in (("data key", "data"), ("alerts key", "alerts")):
            if found := self._key_of(f"{stage}-{alias}"):
                self._add(noun, "key", found, account, stage=stage)
        self._keys_of_account(stage, account)
        self._topic("alert topic", f"{stage}-alerts", stage, account)
        self._access_logs(stage, account, {bucket: bucket})
        for name in ("Processing", "Training", "Transform"):
            group = f"log-group:/aws/sagemaker/{name}Jobs"
            self._add(f"{name} log", "bare log group", arn("logs", group), account, stage=stage)
            self._add(f"{name} log", "log group", arn("logs", f"{group}:*"), account, stage=stage)
            self._add(
                f"{name} log", "log stream", arn("logs", f"{group}:log-stream:x/a"), account, stage=stage
            )
            for model in self._models_of(stage):
                jobs = self.estate.installation.jobs(model, stage)
                for kind in ("train", "inference"):
                    stream = arn("logs", f"{group}:log-stream:{jobs}-{kind}-x-{RUN}/algo-1")
                    self._add(f"{kind} {name} logs", "log stream", stream, account, stage=stage, model=model)
        self._add(
            "other logs", "log stream", arn("logs", "log-group:/other:log-stream:x"), account, stage=stage
        )
        self._add("other logs", "log group", arn("logs", "log-group:/other:*"), account, stage=stage)
        jobs = arn("logs", "log-group:/aws/sagemaker/OtherJobs:*")
        self._add("other logs", "log group", jobs, account, stage=stage)
        self._functions(stage, account)
        self._add("event bus", "bus", arn("events", "event-bus/default"), account, stage=stage)
        self._add("other bus", "bus", arn("events", "event-bus/other"), account, stage=stage)
        self._add(
            "other schedules", "schedule", arn("scheduler", "schedule/default/other"), account, stage=stage
        )
        check = arn("scheduler", f"schedule/default/mlops-check-{stage}-1")
        self._add("check schedules", "schedule", check, account, stage=stage)
        for model in self._models_of(stage):
            for noun, kind in (("schedule", "inference"), ("quality schedule", "quality")):
                name = f"{model.prefix}-{stage}-{kind}"
                schedule = arn("scheduler", f"schedule/default/{name}")
                self._add(noun, "schedule", schedule, account, stage=stage, model=model)
                if stage != "dev" and (queue := self._triggers.queue_of_schedule(name, account)):
                    self._add(f"{noun}'s dead letters", "queue", queue, account, stage=stage, model=model)
        self._add("network", "interface", arn("ec2", "network-interface/eni-1"), account, stage=stage)
        for place in ("subnet/subnet-0123456789abcdef0", "subnet/subnet-0123456789abcdef1"):
            self._add("network", "place", arn("ec2", place), account, stage=stage)
        self._add("network", "place", arn("ec2", "security-group/sg-0123456789abcdef0"), account, stage=stage)
        for place in ("subnet/subnet-0fffffffffffffff0", "security-group/sg-0fffffffffffffff0"):
            self._add("other networks", "place", arn("ec2", place), account, stage=stage)
        self._add("account", "account", "*", account, stage=stage)
        for name, noun in (("sagemaker-xgboost", "images"), ("other", "other images")):
            repository = f"arn:aws:ecr:{REGION}:{IMAGES_ACCOUNT}:repository/{name}"
            self._add(noun, "images", repository, IMAGES_ACCOUNT, stage=stage, generous=name == "other")
        # A group of a stage's own account: nobody's, but an administrator could approve there.
        for kind, rest in (("group", "model-package-group/other"), ("version", "model-package/other/1")):
            self._add("other versions", kind, arn("sagemaker", rest), account, stage=stage)

    def _models_of(self, stage: str) -> list[Model]:
        return [one for one, stages in self.estate.installation.stages_of.items() if stage in stages]

    def _branch(self, model: Model, bucket: str, its: Mapping[str, object]) -> None:
        """Add what a branch's model has in dev's account that main's has in the registry's."""
        account = self.accounts["dev"]
        for name in ("model/job/output/model.tar.gz", "baseline/constraints.json"):
            self._object("branch artifacts", bucket, f"{model.name}/dev/{RUN}/{name}", account, **its)
        evaluation = f"{model.name}/dev/{RUN}/evaluation/evaluation.json"
        self._object("branch evaluations", bucket, evaluation, account, **its)
        base = f"arn:aws:sagemaker:{REGION}:{account}:model-package"
        where = {"stage": "dev", "model": model}
        self._add("branch versions", "group", f"{base}-group/{model.group}", account, **where)
        self._add("branch versions", "version", f"{base}/{model.group}/7", account, **where)

    def _access_logs(self, stage: str, account: str, sources: dict[str, str]) -> None:
        bucket = f"sagemaker-mlops-{stage}-logs-{account}-{REGION}"
        known = stage if stage in STAGES else None
        self._bucket("log bucket", bucket, account, stage=known)
        everywhere = tuple(f"arn:aws:s3:::{source}" for source in sources.values())
        self._object("other requests", bucket, "other/2026-11-21", account, stage=known, sources=everywhere)
        for prefix, source in sources.items():
            self._add(
                "logged requests",
                "object",
                f"arn:aws:s3:::{bucket}/{prefix}/2026-11-21",
                account,
                stage=known,
                sources=(f"arn:aws:s3:::{source}",),
            )

    def _sagemaker(self, stage: str, account: str, model: Model) -> None:
        its = {"stage": stage, "model": model}
        installation = self.estate.installation
        jobs = installation.jobs(model, stage)

        def arn(rest: str) -> str:
            return f"arn:aws:sagemaker:{REGION}:{account}:{rest}"

        for kind in ("train", "inference"):
            pipeline = f"pipeline/{installation.pipeline(model, kind, stage)}"
            self._add(f"{kind} pipeline", "pipeline", arn(pipeline), account, **its)
            self._add(f"{kind} pipeline", "execution", arn(f"{pipeline}/execution/{RUN}"), account, **its)
            for job in ("processing", "training", "transform"):
                own = arn(f"{job}-job/{jobs}-{kind}-x-{RUN}")
                self._add(f"{kind} {job} jobs", f"{job} job", own, account, **its)
            self._add(f"{kind} models", "model", arn(f"model/{jobs}-{kind}-x-{RUN}"), account, **its)
        # its jobs are of the inference role
        pipeline = f"pipeline/{installation.pipeline(model, 'quality', stage)}"
        self._add("quality pipeline", "pipeline", arn(pipeline), account, **its)
        self._add("quality pipeline", "execution", arn(f"{pipeline}/execution/{RUN}"), account, **its)

    def _topic(self, noun: str, alias: str, stage: str | None, account: str) -> None:
        for stack in self.estate.stacks:
            for logical_id, _ in stack.of_type("AWS::SNS::Topic"):
                if stack.account == account and stack.name.lower().startswith(alias.split("-")[0]):
                    arn = stack.arn("sns", stack.name_of(logical_id))
                    self._add(noun, "topic", arn, account, stage=stage, key=self._key_of(alias))
        self._add("other queues", "queue", f"arn:aws:sqs:{REGION}:{account}:other", account, stage=stage)
        self._add("other topics", "topic", f"arn:aws:sns:{REGION}:{account}:other", account, stage=stage)

    def _functions(self, stage: str, account: str) -> None:
        for purpose, pattern in FUNCTIONS.items():
            for model in self._models_of(stage) if "{prefix}" in pattern else (None,):
                if purpose == "cleanup" and (model is None or model.of is None):
                    continue
                prefix = "" if model is None else model.prefix
                self._function(purpose, pattern.format(prefix=prefix, stage=stage), account, stage, model)

    def _function(
        self, purpose: str, name: str, account: str, stage: str | None, model: Model | None
    ) -> None:
        arn = f"arn:aws:lambda:{REGION}:{account}:function:{name}"
        rules, queue = self._triggers.of(arn)
        its = {"stage": stage, "model": model}
        self._add(f"{purpose} function", "function", arn, account, sources=rules, **its)
        group = f"arn:aws:logs:{REGION}:{account}:log-group:/aws/lambda/{name}"
        self._add(f"{purpose} log", "log stream", f"{group}:log-stream:2026/11/21/x", account, **its)
        self._add(f"{purpose} log", "log group", f"{group}:*", account, **its)
        if queue:
            self._add(f"{purpose} dead letters", "queue", queue, account, sources=rules, **its)

    def _registry(self) -> None:
        account = self.accounts["registry"]
        bucket = f"sagemaker-mlops-artifacts-{account}-{REGION}"
        key = self._key_of("artifacts")
        self._bucket("artifacts bucket", bucket, account, key=key)
        self._access_logs("registry", account, {bucket: bucket})
        for model in self.models:
            for stage in self.estate.installation.stages_of[model]:
                run, its = f"{model.name}/{stage}/{RUN}", {"stage": stage, "model": model, "key": key}
                for name in ("model/job/output/model.tar.gz", "baseline/constraints.json"):
                    self._object("artifacts", bucket, f"{run}/{name}", account, **its)
                self._object("evaluations", bucket, f"{run}/evaluation/evaluation.json", account, **its)
                for other in STAGES:
                    if other != stage:
                        nested = f"{model.name}/{stage}/x/{other}/evil.json"
                        self._object("contested artifacts", bucket, nested, account, **its)
                notice = f"_state/{stage}/evil.json"
                self._object(
                    "contested artifacts", bucket, notice, account, **{**its, "model": self.models[-1]}
                )
            # Of no stage: nobody's to write.
            lost = {"model": model, "key": key}
            self._object("contested artifacts", bucket, f"{model.name}/other/x.json", account, **lost)
            everything = {"model": model, "key": key}
            self._folder("artifacts of all stages", bucket, f"{model.name}/", account, **everything)
            base = f"arn:aws:sagemaker:{REGION}:{account}:model-package"
            its = {"model": model, "generous": not model.known}
            self._add("versions", "group", f"{base}-group/{model.group}", account, **its)
            self._add("versions", "version", f"{base}/{model.group}/7", account, **its)
        self._object("notices", bucket, "_state/notices/group/1-Approved.json", account, key=key)
        self._object("claims of records", bucket, "_state/records/group/1-abc.json", account, key=key)
        if key:
            self._add("artifacts key", "key", key, account)
        if alerts := self._key_of("registry-alerts"):
            self._add("registry alerts key", "key", alerts, account)
        self._keys_of_account(None, account)
        self._topic("approvers' topic", "registry-alerts", None, account)
        self._function("registry notifier", "mlops-registry-approval-notifier", account, None, None)
        self._function("registry recorder", "mlops-registry-approval-recorder", account, None, None)
        self._add("registry account", "account", "*", account)
        # Not ours: its trust leaves it to the account who takes it.
        self._add("open role", "role", f"arn:aws:iam::{account}:role/open", account)

    def _bootstrap(self) -> None:
        for name, account in self.accounts.items():
            assets = f"cdk-hnb659fds-assets-{account}-{REGION}"
            stage = name
            self._object("deployed definitions and templates", assets, f"{DIGEST}.json", account, stage=stage)
            for pipeline, code in sorted(code_assets(self._stacks, account)):
                of = [one for one in self.models if pipeline.startswith(f"{one.prefix}-")]
                model = max(of, key=lambda one: len(one.prefix))
                self._object("deployed code", assets, code, account, stage=stage, model=model)
            self._object("other deployed files", assets, f"{DIGEST}.zip", account, stage=stage)
            for purpose in ("deploy", "file-publishing", "lookup"):
                role = f"arn:aws:iam::{account}:role/cdk-hnb659fds-{purpose}-role-{account}-{REGION}"
                self._add(f"{purpose} role of {name}", "role", role, account)

    def _delivery(self) -> None:
        account, stack = self.accounts["registry"], self._stacks["DeliveryStack"]
        bucket, key = f"sagemaker-mlops-delivery-{account}-{REGION}", self._key_of("delivery-data")
        self._bucket("delivery bucket", bucket, account, key=key)
        self._object("reviews", bucket, "reviews/1/review.html", account, key=key)
        self._object("other delivery state", bucket, "state/other.json", account, key=key)
        self._add("other deliveries", "delivery", stack.arn("codepipeline", "other"), account)
        self._object("delivery notices", bucket, "state/notices/1.json", account, key=key)
        sources = next(
            stack.name_of(one) for one, _ in stack.of_type("AWS::S3::Bucket") if one.startswith("Artifacts")
        )
        self._access_logs("delivery", account, {bucket: bucket, "artifacts": sources})
        self._object("sources", sources, "mlops-delivery/Source/x.zip", account)
        self._add("sources", "bucket", f"arn:aws:s3:::{sources}", account)
        self._add("sources", "folder", f"arn:aws:s3:::{sources}", account)
        for one, _ in stack.of_type("AWS::KMS::Key"):
            arn = stack.arn("kms", f"key/{stack.name_of(one)}")
            nouns = {
                "alias/mlops-delivery-alerts": "delivery alerts key",
                "alias/mlops-delivery-data": "delivery key",
            }
            self._add(nouns.get(self.estate.aliases.get(arn, ""), "sources key"), "key", arn, account)
        self._topic("delivery topic", "delivery-alerts", None, account)
        self._function("delivery notifier", "mlops-delivery-notifier", account, None, None)
        self._function("starter", "mlops-delivery-approval-starter", account, None, None)
        for pipeline in ("mlops-delivery", "mlops-versions"):
            self._add(pipeline, "delivery", stack.arn("codepipeline", pipeline), account)
        for stage in ("RegistryAndDev", "Staging", "Prod"):
            confirm = stack.arn("codepipeline", f"mlops-delivery/{stage}/ConfirmPermissions")
            self._add("permissions approvals", "approval", confirm, account)
        for action in (
            "mlops-delivery/Prod/PromoteToProd",
            "mlops-versions/Approve/ReleaseToProd",
            *_OTHER_ACTIONS,
        ):
            self._add("people's approvals", "approval", stack.arn("codepipeline", action), account)
        for _, properties in stack.of_type("AWS::CodeBuild::Project"):
            name = str(properties["Name"])
            versions = name in ("mlops-delivery-check-version", "mlops-delivery-release")
            noun = "version projects" if versions else "delivery projects"
            self._add(noun, "project", stack.arn("codebuild", f"project/{name}"), account)
            stream = stack.arn("logs", f"log-group:/aws/codebuild/{name}:log-stream:x")
            self._add(f"{name} log", "log stream", stream, account)
        self._add("other projects", "project", stack.arn("codebuild", "project/other"), account)
        for name, noun in (
            ("00000000-0000-0000-0000-000000000000", "connection"),
            ("1", "other connections"),
        ):
            self._add(noun, "connection", stack.arn("codeconnections", f"connection/{name}"), account)

    def _roles(self) -> None:
        for arn, role in self.estate.roles.items():
            _, _, stage, purpose, name = arn.split(":role")[1].rsplit("/", 4)
            model = next((one for one in self.models if name.startswith(f"{one.prefix}-{stage}")), None)
            noun = f"{purpose} role" if stage in STAGES else f"{stage} {purpose} role"
            noun = f"branch {noun}" if "--" in name else noun
            its = {"stage": stage if stage in STAGES else None, "model": model}
            self._add(
                f"{name} role" if stage == "delivery" else noun, "role", arn, role.caller.account, **its
            )
            # Nothing of ours passes or takes what else there may be at a role's path.
            for place in (f"mlops/{stage}/{purpose}", f"mlops/{stage}/other", "mlops/other/other"):
                other = f"{arn.split(':role/')[0]}:role/{place}/other"
                self._add("other roles", "role", other, role.caller.account, generous=True)


_OTHER_ACTIONS = tuple(f"mlops-delivery/{stage}/Other" for stage in ("RegistryAndDev", "Staging"))
