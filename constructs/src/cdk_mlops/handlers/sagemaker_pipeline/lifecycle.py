"""What becomes of a pipeline when its stack is created, updated, rolled back or deleted.

A pipeline carries the tag `mlops:owner`, which names the stack and the resource that made it. It tells a repeated
request from a stranger's pipeline of the same name, and a pipeline that a Create did make, although its answer was
lost, from one that it didn't. A pipeline that was taken over also carries `mlops:adopted`: when its stack is deleted
it stays as it is, with both tags removed, and its executions go on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sagemaker_pipeline.code_archive import unpack
from sagemaker_pipeline.definition import render
from sagemaker_pipeline.pipelines import Existing, Pipelines, Refused, StillRunning, token
from sagemaker_pipeline.properties import BadProperties, Properties, text_map
from shared import log
from shared.aws import AwsError, error_code, error_text
from shared.cloudformation import Answer, Request, is_unmade

OWNER_TAG, ADOPTED_TAG = "mlops:owner", "mlops:adopted"
# CloudFormation's own patience with a Lambda-backed resource, and Lambda's limit.
MOST_WAIT_SECONDS = 15 * 60.0
# Kept for the answer after waiting.
RESERVE_SECONDS = 45.0
_POLL_SECONDS = 5.0
# A role's new policy takes IAM some seconds to apply, and a key's new alias KMS up to five minutes: a stack's first
# pipeline is made right after both. https://docs.aws.amazon.com/kms/latest/developerguide/alias-authorization.html
NEW_PERMISSIONS_SECONDS = 6 * 60.0
_DENIED = ("AccessDenied", "AccessDeniedException", "KMS.AccessDeniedException")
_GONE_WAIT_SECONDS = 120.0


@dataclass(frozen=True)
class Lifecycle:
    """One request, with everything it reaches.

    Parameters
    ----------
    clock
        Seconds that only grow.
    deadline
        When the function ends, by that clock.
    abandoned
        Whether CloudFormation was told meanwhile that the request failed: then nothing may be made any more.
    """

    request: Request
    s3: Any
    pipelines: Pipelines
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    deadline: float
    abandoned: Callable[[], bool]

    def run(self) -> Answer:
        """Do what CloudFormation asks for.

        Raises
        ------
        Refused, BadProperties and others of this package
            Their message is what the user of the stack reads.
        """
        if self.request.kind == "Delete":
            return self._delete()
        if self.request.kind not in ("Create", "Update"):
            raise Refused(f"the request type '{self.request.kind}' is not known")
        return self._apply_when_permitted(Properties.parse(self.request.properties))

    def _apply_when_permitted(self, properties: Properties) -> Answer:
        """Apply; where AWS denies a call, try again until permissions that are new must have taken effect."""
        until = min(self.clock() + NEW_PERMISSIONS_SECONDS, self.deadline - RESERVE_SECONDS)
        while True:
            try:
                return self._apply(properties)
            except Exception as error:
                if not _denied(error) or self.abandoned() or self.clock() + _POLL_SECONDS > until:
                    raise
                log.info("denied: the permission may be too new", pipeline=properties.name, error=str(error))
                self.sleep(_POLL_SECONDS)

    def _apply(self, properties: Properties) -> Answer:
        # the physical id, not the old properties, says what there is: a roll-back comes as an Update too
        existing = self._settled(properties.name)
        known = self.request.physical_id == properties.name
        if existing and not known and not self._is_mine(existing) and not properties.adopt:
            raise Refused(_refusal(existing))
        code_uri = self._unpack(properties)
        source = self._read_definition(properties)
        call = {
            "PipelineName": properties.name,
            "PipelineDisplayName": properties.display_name,
            "PipelineDefinition": render(
                source, self._defaults(properties, code_uri), properties.functions, properties.rename_jobs
            ),
            "RoleArn": properties.role_arn,
        }
        # SageMaker takes no empty description, and an update keeps what it isn't told
        call["PipelineDescription"] = properties.description or properties.display_name
        if self.abandoned():
            raise Refused("the request was given up before the pipeline was touched")
        arn = self._write(existing, properties, call, known)
        digest = hashlib.sha256(source.encode()).hexdigest()
        data = {"PipelineArn": arn, "CodeUri": code_uri, "DefinitionSha256": digest}
        return Answer(properties.name, data=data)

    def _write(
        self, existing: Existing | None, properties: Properties, call: Mapping[str, str], known: bool
    ) -> str:
        tags = {**properties.tags, OWNER_TAG: self._owner}
        if existing is None:
            return self.pipelines.create(call, tags, token(self.request.request_id))
        if not known and not self._is_mine(existing):
            # before anything else: from here on a failed request can be told to have adopted it
            self.pipelines.set_tags(existing, {OWNER_TAG: self._owner, ADOPTED_TAG: "true"}, set())
            log.info("adopted", pipeline=properties.name, former_tags=existing.tags)
        arn = self.pipelines.update(call)
        self.pipelines.set_tags(existing, tags, set(text_map(self.request.old_properties, "Tags")))
        return arn

    def _settled(self, name: str) -> Existing | None:
        """Find the pipeline; one that is being deleted is waited for."""
        until = min(self.clock() + _GONE_WAIT_SECONDS, self.deadline - RESERVE_SECONDS)
        while True:
            existing = self.pipelines.find(name)
            if existing is None or existing.status != "Deleting":
                return existing
            if self.clock() >= until:
                raise Refused(f"the pipeline '{name}' is still being deleted: deploy again in a few minutes")
            self.sleep(_POLL_SECONDS)

    def _unpack(self, properties: Properties) -> str:
        if properties.code is None:
            return ""
        unpack(self.s3, properties.code)
        return properties.code.uri

    def _defaults(self, properties: Properties, code_uri: str) -> dict[str, str]:
        if properties.code is None:
            return properties.defaults
        return {properties.code.parameter: code_uri, **properties.defaults}

    def _read_definition(self, properties: Properties) -> str:
        place = f"s3://{properties.definition_bucket}/{properties.definition_key}"
        try:
            answer = self.s3.get_object(Bucket=properties.definition_bucket, Key=properties.definition_key)
            return str(answer["Body"].read().decode("utf-8"))
        except AwsError as error:
            raise Refused(
                f"the definition {place} can't be read: {error_code(error)}: {error_text(error)}"
            ) from error
        except UnicodeDecodeError as error:
            raise Refused(f"the definition {place} is not UTF-8 text: {error}") from error

    def _delete(self) -> Answer:
        physical_id = self.request.physical_id or ""
        unmade = is_unmade(physical_id)
        name = str(self.request.properties.get("PipelineName") or "") if unmade else physical_id
        answer = Answer(physical_id)
        existing = self.pipelines.find(name) if name else None
        if existing is None:
            return answer
        if unmade and not self._is_mine(existing):
            log.info("left alone: this resource did not make it", pipeline=name)
            return answer
        if OWNER_TAG in existing.tags and not self._is_mine(existing):
            log.warning(
                "left alone: another stack owns it by now", pipeline=name, owner=existing.tags[OWNER_TAG]
            )
            return answer
        if ADOPTED_TAG in existing.tags:
            self.pipelines.set_tags(existing, {}, {OWNER_TAG, ADOPTED_TAG})
            log.info("left in place: it was adopted, not made", pipeline=name)
            return answer
        self._stop_and_delete(name)
        return answer

    def _stop_and_delete(self, name: str) -> None:
        until = min(self.clock() + MOST_WAIT_SECONDS, self.deadline) - RESERVE_SECONDS
        stopped: set[str] = set()
        while True:
            running = self.pipelines.running(name)
            # a schedule may start another one while the last is being stopped
            for arn in running:
                if arn not in stopped:
                    self.pipelines.stop(arn, token(self.request.request_id, "stop", arn))
                    stopped.add(arn)
            if not running:
                try:
                    self.pipelines.delete(name, token(self.request.request_id))
                except StillRunning as error:
                    log.info("not deletable yet", pipeline=name, reason=str(error))
                else:
                    return
            if self.clock() + _POLL_SECONDS > until:
                left = ", ".join(arn.rsplit("/", 1)[-1] for arn in running) or "none listed"
                raise Refused(
                    f"the pipeline '{name}' still has executions that are stopping ({left}): a Lambda step can take "
                    "10 minutes to stop; delete the stack again when they have ended"
                )
            self.sleep(_POLL_SECONDS)

    def _is_mine(self, existing: Existing) -> bool:
        return existing.tags.get(OWNER_TAG) == self._owner

    @property
    def _owner(self) -> str:
        """Stack and resource for people, then a digest of the stack's id: a stack made anew is another owner."""
        stack = self.request.stack_id.split("/")[1] if "/" in self.request.stack_id else self.request.stack_id
        digest = hashlib.sha256(f"{self.request.stack_id}/{self.request.logical_id}".encode()).hexdigest()[
            :16
        ]
        return f"{stack[:100]}/{self.request.logical_id[:120]}/{digest}"


def _denied(error: BaseException | None) -> bool:
    """Whether AWS denied the call that an error, or what it was raised from, tells of."""
    while error is not None:
        if error_code(error) in _DENIED:
            return True
        error = error.__cause__
    return False


def _refusal(existing: Existing) -> str:
    owner = existing.tags.get(OWNER_TAG)
    made = f"the stack resource {owner.rpartition('/')[0]} made it" if owner else "this stack did not make it"
    return (
        f"a pipeline named '{existing.name}' exists already and {made}: choose another name, delete that one, or "
        "take it over with adopt_existing=True"
    )


__all__ = ["BadProperties", "Lifecycle"]
