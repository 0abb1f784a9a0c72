"""The jobs that run on this machine: started, waited for, stopped, and all ended with the engine."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from local_cloud.runner.clients import RoleClients
from local_cloud.runner.isolation import is_isolated, without_credentials, without_network
from local_cloud.runner.process import ProcessPool
from local_cloud.runner.sandbox import Sandbox
from local_cloud.runner.transfer import TransferError

MAX_REASON = 1024


class JobError(Exception):
    """A job can't go on; the message is its failure reason."""


@dataclass(frozen=True)
class JobRequest:
    """What a job is asked to do.

    Attributes
    ----------
    kind
        ``processing``, ``training`` or ``transform``.
    name, arn, role_arn
        Of the job.
    request
        The API request that created it.
    session
        Environment of the session of the job's role.
    model
        Of a transform job: ``image``, ``model_data_url`` and ``isolated`` of the model, whose role is the job's.
    """

    kind: str
    name: str
    arn: str
    role_arn: str
    request: Mapping[str, Any]
    session: Mapping[str, str]
    model: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class JobResult:
    """How a job ended.

    Attributes
    ----------
    status
        ``Completed``, ``Failed`` or ``Stopped``.
    fields
        Further members of the Describe answer, by name.
    metrics
        The metrics that it wrote for CloudWatch.
    """

    status: str
    failure_reason: str | None = None
    exit_message: str | None = None
    fields: dict[str, Any] = field(default_factory=dict)
    metrics: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Job:
    """What a job's program of work sees: its request, its folder, its clients, and how to run a container.

    Attributes
    ----------
    sandbox
        File system of the instance: of the first, where there are several.
    others
        Those of the other instances.
    """

    request: JobRequest
    sandbox: Sandbox
    clients: RoleClients
    _processes: ProcessPool
    others: list[Sandbox] = field(default_factory=list)

    def on_instance(self, name: str) -> Job:
        """Return the job as another instance sees it, which has a file system of its own."""
        sandbox = Sandbox(self.sandbox.folder / name)
        self.others.append(sandbox)
        return replace(self, sandbox=sandbox)

    def run_container(self, command: list[str], environment: Mapping[str, str]) -> int:
        """Run a program in the sandbox and return its exit code.

        It works under the job's role; isolated, it has neither the role's credentials nor a network.
        """
        session: Mapping[str, str] = self.request.session
        if is_isolated(self.request.request, self.request.model):
            command, session = without_network(command), without_credentials(session)
        return self._processes.run(
            self.request.arn,
            command,
            environment=self.sandbox.environment(session, environment),
            folder=self.sandbox.folder,
            stdout=self.sandbox.stdout,
            stderr=self.sandbox.stderr,
        )


JobProgram = Callable[[Job], JobResult]
OnStart = Callable[[], None]
OnEnd = Callable[[JobResult], None]


@dataclass
class _Running:
    ended: threading.Event = field(default_factory=threading.Event)
    stopping: threading.Event = field(default_factory=threading.Event)
    timed_out: bool = False


class JobPool:
    """Runs jobs, as many at a time as there are cores.

    Parameters
    ----------
    work_dir
        Each job gets a folder in it.
    programs
        What does the work of a kind of job.
    slots
        How many jobs run at the same time. Default: the number of cores, at least 2.
    """

    def __init__(self, work_dir: Path, programs: Mapping[str, JobProgram], slots: int | None = None) -> None:
        self._folder = work_dir / "jobs"
        self._programs = programs
        self._slots = threading.BoundedSemaphore(max(2, os.cpu_count() or 2) if slots is None else slots)
        self._processes = ProcessPool()
        self._lock = threading.Lock()
        self._jobs: dict[str, _Running] = {}

    def start(self, request: JobRequest, on_start: OnStart, on_end: OnEnd) -> None:
        """Start a job in the background.

        Parameters
        ----------
        request
            What it is to do.
        on_start
            Called when the job has got a slot.
        on_end
            Called once with the result, before those who wait are woken.
        """
        running = _Running()
        with self._lock:
            self._jobs[request.arn] = running
        threading.Thread(
            target=self._run, args=(request, running, on_start, on_end), name=request.name, daemon=True
        ).start()

    def _run(self, request: JobRequest, running: _Running, on_start: OnStart, on_end: OnEnd) -> None:
        try:
            with self._slots:
                result = JobResult("Stopped")
                if not running.stopping.is_set():
                    on_start()
                    result = self._work(request, running)
            on_end(result)
        finally:
            running.ended.set()
            with self._lock:
                self._jobs.pop(request.arn, None)
            self._processes.forget(request.arn)

    def _work(self, request: JobRequest, running: _Running) -> JobResult:
        folder = self._folder / f"{request.kind}-{request.name}-{time.monotonic_ns()}"
        job = Job(request, Sandbox(folder), RoleClients(request.session), self._processes)
        limit = (request.request.get("StoppingCondition") or {}).get("MaxRuntimeInSeconds")
        timer = threading.Timer(float(limit), self._time_out, (request.arn, running)) if limit else None
        if timer:
            timer.daemon = True
            timer.start()
        try:
            result = self._programs[request.kind](job)
        except (JobError, TransferError) as error:
            result = JobResult("Failed", str(error)[:MAX_REASON])
        except Exception as error:  # noqa: BLE001 - a fault of ours must end the job, not hang who waits for it
            result = JobResult("Failed", f"InternalServerError: {type(error).__name__}: {error}"[:MAX_REASON])
        finally:
            if timer:
                timer.cancel()
        sandboxes = [job.sandbox, *job.others]
        result.metrics = [metric for sandbox in sandboxes for metric in sandbox.metrics()]
        for sandbox in sandboxes:
            sandbox.remove_data()
        if running.timed_out:
            return JobResult("Stopped", f"MaxRuntimeExceeded: the job ran longer than {limit} seconds")
        if running.stopping.is_set() and result.status != "Completed":
            return JobResult("Stopped")
        return result

    def _time_out(self, arn: str, running: _Running) -> None:
        running.timed_out = True
        self._processes.stop(arn)

    def stop(self, arn: str) -> bool:
        """Stop a job; returns whether it was still going on."""
        with self._lock:
            running = self._jobs.get(arn)
        if running is None:
            return False
        running.stopping.set()
        self._processes.stop(arn)
        return True

    def wait(self, arn: str, or_until: threading.Event | None = None) -> bool:
        """Wait until a job has ended, or an event is set; returns whether the job has ended."""
        with self._lock:
            running = self._jobs.get(arn)
        if running is None:
            return True
        if or_until is None:
            running.ended.wait()
            return True
        while not running.ended.wait(0.2):
            if or_until.is_set():
                return False
        return True

    def process_id(self, arn: str) -> int | None:
        """Return the id of the process of a running job."""
        return self._processes.process_id(arn)

    def close(self) -> None:
        """End all jobs and their processes, and remove their folders."""
        self._processes.close()
        shutil.rmtree(self._folder, ignore_errors=True)
