"""Artifacts: folders of the server, each with a small object in the pipeline's bucket that stands for it.

The files themselves stay where they are. The object is written with the session of whoever makes the artifact and read
with that of whoever takes it, so that IAM, the bucket's policy and its key decide as over the archive on AWS.
"""

from __future__ import annotations

import json
import secrets
import shutil
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from local_cloud.codepipeline.errors import ActionFailed
from local_cloud.codepipeline.model import Artifact, Execution, Revision
from local_cloud.engine_services import Role
from local_cloud.runner.clients import RoleClients


class Artifacts:
    """Gives and takes artifacts.

    Parameters
    ----------
    root
        Folder for their files.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(
        self,
        execution: Execution,
        name: str,
        files: Path,
        role: Role,
        *,
        region: str,
        revision: Revision | None = None,
    ) -> Artifact:
        """Take over a folder as an artifact.

        Parameters
        ----------
        execution
            Whose.
        name
            Name of the artifact in the pipeline.
        files
            The folder; it is moved away.
        role
            Session that writes it.
        region
            Where the action runs.
        revision
            The commit that it is.

        Raises
        ------
        ActionFailed
            The role may not write to the artifact store.
        """
        store = _store(execution, region)
        key = f"{execution.pipeline.name[:20]}/{name[:10]}/{secrets.token_urlsafe(6)}"
        folder = self._root / execution.execution_id / f"{name}-{secrets.token_hex(4)}"
        folder.parent.mkdir(parents=True, exist_ok=True)
        encryption: dict[str, str] = {}
        if encryption_key := store.get("encryptionKey"):
            encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": encryption_key["id"]}
        body = json.dumps({"embedded-cloud": "the files are kept by the server", "artifact": name}).encode()
        try:
            s3 = RoleClients(role).client("s3")
            s3.put_object(Bucket=store["location"], Key=key, Body=body, **encryption)
        except ClientError as error:
            raise ActionFailed(
                f"The artifact {name} can't be put into the artifact store {store['location']}: {error}",
                code="PermissionError",
            ) from None
        shutil.move(files, folder)
        return Artifact(name, folder, store["location"], key, revision)

    @staticmethod
    def get(artifact: Artifact, role: Role) -> Path:
        """Return the folder of an artifact, for reading only.

        Raises
        ------
        ActionFailed
            The role may not read it from the artifact store.
        """
        try:
            RoleClients(role).client("s3").get_object(Bucket=artifact.bucket, Key=artifact.key)["Body"].read()
        except ClientError as error:
            raise ActionFailed(
                f"The artifact {artifact.name} can't be read from the artifact store {artifact.bucket}: {error}",
                code="PermissionError",
            ) from None
        return artifact.folder


def _store(execution: Execution, region: str) -> dict[str, Any]:
    declaration = execution.declaration
    found: dict[str, Any] | None = declaration.get("artifactStore") or (
        declaration.get("artifactStores") or {}
    ).get(region)
    if found is None:
        raise ActionFailed(
            f"The pipeline has no artifact store in the region {region}", code="ConfigurationError"
        )
    return found
