"""`LocalCloud`: start an embedded cloud, talk to it, end it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import boto3
import botocore.config
import botocore.loaders
import botocore.session

from local_cloud.process import (
    DEFAULT_ACCOUNT,
    SAGEMAKER_SERVICE,
    STOLEN_SESSION,
    Connection,
    LocalCloudError,
    end,
    spawn,
)
from local_cloud.server import CONTROL_PREFIX, LOOPBACK

__all__ = ["DEFAULT_ACCOUNTS", "DEFAULT_REGION", "Connection", "LocalCloud", "LocalCloudError", "Message"]

DEFAULT_ACCOUNTS = (DEFAULT_ACCOUNT, "222222222222", "333333333333")
DEFAULT_REGION = "us-east-1"
# Shared by all sessions: reading a service's model takes longer than most calls.
_LOADER = botocore.loaders.create_loader()


class Message(NamedTuple):
    """What was published to a topic."""

    subject: str
    body: str


class LocalCloud:
    """An embedded cloud of several accounts, with IAM enforced.

    Use it as a context manager::

        with LocalCloud.start() as cloud:
            cloud.session("111111111111").client("s3").create_bucket(Bucket="example")

    State is in memory, and gone when it ends. Nothing is written outside its work folder.

    Parameters
    ----------
    connection
        A running server.
    accounts
        Ids of the accounts that are meant to be used; any other 12-digit id works too.
    """

    def __init__(self, connection: Connection, accounts: Sequence[str] = DEFAULT_ACCOUNTS) -> None:
        self.connection = connection
        self.accounts = tuple(accounts)
        self._process: subprocess.Popen[bytes] | None = None
        self._temporary: Path | None = None

    @classmethod
    def start(
        cls,
        *,
        work_dir: Path | None = None,
        accounts: Sequence[str] = DEFAULT_ACCOUNTS,
        port: int = 0,
        plain_port: int = 0,
        sagemaker_module: str = SAGEMAKER_SERVICE,
        record: Path | None = None,
    ) -> LocalCloud:
        """Start one that ends with this process at the latest.

        Parameters
        ----------
        work_dir
            Folder for the files of functions, steps and logs. Default: a temporary one, removed at the end.
        accounts
            12-digit ids of the accounts.
        port, plain_port
            Wanted ports. Default: any free ones.
        sagemaker_module
            Name of the module with the SageMaker service. Default: the real one.
        record
            File to which each decision about permissions is appended as a line of JSON: ``principal``, ``action``,
            ``resource``, ``allowed``, ``stolen``, ``condition_keys``. Default: the one that the environment variable
            ``LOCAL_CLOUD_RECORD`` names, else none.

        Raises
        ------
        ValueError
            An account id has not 12 digits.
        LocalCloudError
            It did not start; says why.
        """
        for account in accounts:
            if not (len(account) == 12 and account.isdigit()):
                raise ValueError(f"accounts must be 12-digit ids, got {account!r}")
        temporary = Path(tempfile.mkdtemp(prefix="local-cloud-")) if work_dir is None else None
        try:
            process, connection = spawn(
                work_dir=work_dir or temporary or Path(),
                port=port,
                plain_port=plain_port,
                default_account=accounts[0] if accounts else DEFAULT_ACCOUNTS[0],
                temporary=temporary is not None,
                sagemaker_module=sagemaker_module,
                record=record,
            )
        except BaseException:
            if temporary:
                shutil.rmtree(temporary, ignore_errors=True)
            raise
        cloud = cls(connection, accounts)
        cloud._process, cloud._temporary = process, temporary
        return cloud

    def stop(self) -> None:
        """End the cloud, if it was started here; a second call does nothing."""
        if self._process is not None:
            end(self._process)
            self._process = None
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary = None

    def __enter__(self) -> LocalCloud:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def endpoint(self) -> str:
        """URL of the port that counts as TLS: ``aws:SecureTransport`` is true there."""
        return f"http://{LOOPBACK}:{self.connection.port}"

    @property
    def plain_endpoint(self) -> str:
        """URL of the port that doesn't count as TLS."""
        return f"http://{LOOPBACK}:{self.connection.plain_port}"

    def environment(self, account: str, region: str = DEFAULT_REGION) -> dict[str, str]:
        """Return the variables that make aws, cdk and boto3 act as an account's root.

        Parameters
        ----------
        account
            12-digit id.
        region
            Default region of the calls.
        """
        return {
            "AWS_ACCESS_KEY_ID": account,
            "AWS_SECRET_ACCESS_KEY": "test",  # any will do: the key id says who it is
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def session(
        self,
        account: str,
        region: str = DEFAULT_REGION,
        *,
        credentials: dict[str, str] | None = None,
        plain: bool = False,
    ) -> boto3.Session:
        """Return a session whose clients talk to this cloud.

        Parameters
        ----------
        account
            12-digit id: without credentials, its root.
        region
            Default region of the clients.
        credentials
            ``AccessKeyId``, ``SecretAccessKey`` and, if temporary, ``SessionToken``, as IAM and STS return them.
        plain
            Use the port that doesn't count as TLS.
        """
        found = credentials or {"AccessKeyId": account, "SecretAccessKey": "test"}
        core = botocore.session.Session()
        core.register_component("data_loader", _LOADER)
        core.set_config_variable("config_file", os.devnull)
        core.set_config_variable("credentials_file", os.devnull)
        core.set_default_client_config(
            # One try: what the cloud denies stays denied, and a test should not wait to learn it.
            botocore.config.Config(retries={"total_max_attempts": 2, "mode": "standard"}, read_timeout=900)
        )
        return _Session(
            endpoint=self.plain_endpoint if plain else self.endpoint,
            aws_access_key_id=found["AccessKeyId"],
            aws_secret_access_key=found["SecretAccessKey"],
            aws_session_token=found.get("SessionToken"),
            region_name=region,
            botocore_session=core,
        )

    def assume(
        self,
        role_arn: str,
        *,
        session_name: str,
        by: boto3.Session | None = None,
        mfa: bool = False,
        region: str = DEFAULT_REGION,
    ) -> boto3.Session:
        """Assume a role with STS, so that its trust policy decides.

        Parameters
        ----------
        role_arn
            The role's ARN, with its path.
        session_name
            Name of the session.
        by
            Who assumes it. Default: the root of the role's account.
        mfa
            Present a code of a virtual MFA device: ``aws:MultiFactorAuthPresent`` is true then.
        region
            Default region of the returned session's clients.

        Raises
        ------
        botocore.exceptions.ClientError
            ``AccessDenied``: the trust policy, or the caller's own, doesn't allow it.
        """
        account = role_arn.split(":")[4]
        caller = by or self.session(account, region)
        request = {"RoleArn": role_arn, "RoleSessionName": session_name}
        if mfa:
            owner = caller.client("sts").get_caller_identity()["Account"]
            request |= {"SerialNumber": self._mfa_device(owner), "TokenCode": "123456"}
        answer = caller.client("sts").assume_role(**request)
        return self.session(account, region, credentials=answer["Credentials"])

    def service_session(
        self,
        role_arn: str,
        *,
        service: str = "sagemaker.amazonaws.com",
        region: str = DEFAULT_REGION,
        plain: bool = False,
    ) -> boto3.Session:
        """Return a session of a role as a service gets it: what a thief of a job's credentials would hold.

        Parameters
        ----------
        role_arn
            The role's ARN, with its path.
        service
            The service principal that assumes it; the role's trust policy decides.
        region
            Default region of the returned session's clients.
        plain
            Use the port that doesn't count as TLS.

        Raises
        ------
        LocalCloudError
            The role doesn't exist, or doesn't trust the service.
        """
        query = {"role_arn": role_arn, "service": service, "region": region, "name": STOLEN_SESSION}
        issued = self._control("session", query, method="POST")
        credentials = {
            "AccessKeyId": issued["AWS_ACCESS_KEY_ID"],
            "SecretAccessKey": issued["AWS_SECRET_ACCESS_KEY"],
            "SessionToken": issued["AWS_SESSION_TOKEN"],
        }
        return self.session(role_arn.split(":")[4], region, credentials=credentials, plain=plain)

    def _mfa_device(self, account: str) -> str:
        iam = self.session(account).client("iam")
        serial = f"arn:aws:iam::{account}:mfa/local-cloud"
        with contextlib.suppress(iam.exceptions.EntityAlreadyExistsException):
            iam.create_virtual_mfa_device(VirtualMFADeviceName="local-cloud")
        return serial

    def fire_schedules(
        self, account: str, region: str = DEFAULT_REGION, *, name: str, group: str = "default"
    ) -> None:
        """Move the clock: run a schedule of EventBridge Scheduler now, under its role, to its target.

        Schedules never run by themselves here.

        Parameters
        ----------
        account, region
            Where the schedule is.
        name, group
            The schedule's name and group.

        Raises
        ------
        LocalCloudError
            There is no such schedule, it is disabled, or its target could not be reached: says why. In the
            last case the dead-letter queue holds the event, if the schedule has one.
        """
        query = {"account": account, "region": region, "name": name, "group": group}
        failure = self._control("fire", query, method="POST")["failure"]
        if failure:
            raise LocalCloudError(f"schedule {name} was not delivered: {failure}")

    def messages(self, topic_arn: str) -> list[Message]:
        """Return what was published to a topic, oldest first: an outbox, since no e-mail is sent.

        Parameters
        ----------
        topic_arn
            The topic; of any account.
        """
        found = self._control("messages", {"topic_arn": topic_arn})
        return [Message(subject=item["subject"], body=item["body"]) for item in found]

    def connect_repository(self, name: str, path: Path) -> None:
        """Let a repository's name in a pipeline's source action mean a git repository of this machine.

        Connect before the pipeline is deployed: as on AWS, a new pipeline starts at once.

        Parameters
        ----------
        name
            ``owner/name``, as the pipeline's source has it.
        path
            The repository; bare or with a working tree, of which only what is committed counts.

        Raises
        ------
        LocalCloudError
            The folder is no git repository.
        """
        self._control("repository", {"name": name, "path": str(path.resolve())}, method="POST")

    def replace_build_command(self, command: str, replacement: str) -> None:
        """Run another command wherever a build specification says this one; the build's log says so.

        Parameters
        ----------
        command
            As the build specification has it.
        replacement
            What is run instead, by bash.
        """
        query = {"command": command, "replacement": replacement}
        self._control("build-commands", query, method="POST")

    def restore_build_commands(self) -> None:
        """Run all commands as they are written again."""
        self._control("build-commands", {}, method="POST")

    def is_alive(self) -> bool:
        """Whether the cloud answers."""
        try:
            return bool(self._control("health", {})["status"] == "ready")
        except LocalCloudError:
            return False

    def _control(self, action: str, query: dict[str, str], method: str = "GET") -> Any:
        url = f"{self.endpoint}{CONTROL_PREFIX}{action}?{urllib.parse.urlencode(query)}"
        # Never through a proxy: the cloud is on loopback.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(urllib.request.Request(url, method=method), timeout=60) as answer:  # noqa: S310
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise LocalCloudError(json.load(error)["message"]) from None
        except OSError as error:
            raise LocalCloudError(f"the embedded cloud at {self.endpoint} doesn't answer: {error}") from None


class _Session(boto3.Session):  # type: ignore[misc]
    """A session whose clients and resources talk to an embedded cloud without further ado."""

    def __init__(self, *, endpoint: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._endpoint = endpoint

    def client(self, service_name: str, *args: Any, **kwargs: Any) -> Any:
        kwargs.setdefault("endpoint_url", self._endpoint)
        return super().client(service_name, *args, **kwargs)

    def resource(self, service_name: str, *args: Any, **kwargs: Any) -> Any:
        kwargs.setdefault("endpoint_url", self._endpoint)
        return super().resource(service_name, *args, **kwargs)
