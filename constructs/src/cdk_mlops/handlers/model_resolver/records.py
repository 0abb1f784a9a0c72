"""Whether a version's files are those that were approved, by the record that the registry makes of each approval."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from model_resolver.versions import VersionNotApproved
from shared import log
from shared.artifacts import OpenBucket, approved_ids, look_at, refuse_changed
from shared.objects import ObjectVersion
from shared.registry import APPROVED, Version

# The record is written within seconds of the approval. The function's own time is 60 s.
WAITS = (0.2, 0.3, 0.5, 1.0, *(2.0,) * 19)


class ApprovalNotRecorded(Exception):
    """A version is approved, but nothing says which files were."""


class Records:
    """The records of approvals.

    Parameters
    ----------
    sagemaker, open_bucket
        Where versions and their files are.
    expected
        Whether an approved version must have a record. Where the registry makes none, only the rule counts that no
        file is younger than the version.
    sleep
        Waits for a record.
    """

    def __init__(
        self, sagemaker: Any, open_bucket: OpenBucket, *, expected: bool, sleep: Callable[[float], None]
    ) -> None:
        self._sagemaker = sagemaker
        self._open_bucket = open_bucket
        self._expected = expected
        self._sleep = sleep

    def check(
        self, version: Version, package: dict[str, Any], files: Mapping[str, str]
    ) -> dict[str, ObjectVersion]:
        """Look at a version's files and compare them with its record.

        A version that was never approved has none: it may be tried where its stage lets it.

        Returns
        -------
        The S3 version of each file, by the file's name.

        Raises
        ------
        ApprovalNotRecorded
            It is approved, and its record didn't come in time.
        VersionNotApproved
            It lost its approval meanwhile.
        ModelArtifactChanged
            A file is another one.
        """
        approved = approved_ids(package)
        if approved is None and self._expected and package.get("ModelApprovalStatus") == APPROVED:
            approved = self._wait(version, files)
        current = look_at(self._open_bucket, files.values())
        refuse_changed(version.number, version.created, files, current, approved)
        return {name: found for name, uri in files.items() if (found := current[uri]) is not None}

    def _wait(self, version: Version, files: Mapping[str, str]) -> dict[str, str]:
        for seconds in WAITS:
            log.info("waiting for the record of the approval", version=version.arn)
            self._sleep(seconds)
            package = self._sagemaker.describe_model_package(ModelPackageName=version.arn)
            status = str(package.get("ModelApprovalStatus"))
            if status != APPROVED:
                raise VersionNotApproved(
                    f"version {version.number} became {status} while this run waited for its record: start it again"
                )
            if found := approved_ids(package):
                return found
        # a file that was written too late is why there is no record: that says more
        current = look_at(self._open_bucket, files.values())
        refuse_changed(version.number, version.created, files, current, None)
        raise ApprovalNotRecorded(
            f"version {version.number} is approved, but the registry has not recorded which files were: approve it "
            f"again (make approve VERSION={version.number}); if that doesn't help, see the function "
            "mlops-registry-approval-recorder in the registry account"
        )
