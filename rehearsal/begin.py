"""What there is before the first promotion: an origin repository, bootstrapped accounts, and people."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from demo.program import make_person
from local_cloud.cloud import LocalCloud
from rehearsal import accounts, borrowed, settings
from rehearsal.approver import Approver
from rehearsal.desk import Desk
from rehearsal.origin import Origin, set_settings
from rehearsal.path import Record
from rehearsal.world import World
from stacks import settings as app
from stacks.installation import Settings

# Where package managers keep what they have loaded: the user's own folders, or builds would load all of it once more.
CACHES = {"UV_CACHE_DIR": ".cache/uv", "PIP_CACHE_DIR": ".cache/pip", "npm_config_cache": ".npm"}


@contextmanager
def world(
    root: Path, out: Path, record: Record, approver: Approver, *, everything: bool = False
) -> Iterator[World]:
    """Make the origin, start the cloud and bootstrap its accounts; end all of it with the block.

    Parameters
    ----------
    root
        The clone whose last commit is rehearsed.
    out
        The rehearsal's folder.
    everything
        See `rehearsal.settings.first`.
    """
    chosen = settings.first(everything=everything)
    for variable, folder in CACHES.items():
        os.environ.setdefault(variable, str(Path.home() / folder))
    os.environ.pop("MLOPS_SETTINGS", None)
    with ExitStack() as stack:
        with record.part("Begin", "a repository, four bootstrapped accounts, people"):
            with record.step("Begin", "Repository") as row:
                origin = Origin.cloned_from(root, out / "origin")
                origin.commit("Deliver by CodePipeline", lambda folder: set_settings(folder, chosen))
                row.said = f"{settings.REPOSITORY} at {origin.head[:12]}: {origin.subject}"
            with record.step("Begin", "Embedded cloud") as row:
                cloud = stack.enter_context(
                    LocalCloud.start(work_dir=out / "cloud", accounts=tuple(settings.ACCOUNTS.values()))
                )
                cloud.connect_repository(settings.REPOSITORY, origin.folder)
                row.said = cloud.endpoint
            found = _people(root, out, record, approver, origin, cloud, app.load(chosen))
            with record.step("Begin", "Clone") as row:
                found.desk.pull()
                row.said = "a person's clone, with profiles for every account"
            with record.step("Begin", "Bootstrap") as row:
                scripts = accounts.bootstrap(found)
                row.said = f"make bootstrap-help, then {', '.join(scripts)}; staging with cdk bootstrap"
        yield found


def _people(
    root: Path,
    out: Path,
    record: Record,
    approver: Approver,
    origin: Origin,
    cloud: LocalCloud,
    chosen: Settings,
) -> World:
    script = borrowed.write_script(root, out / "borrow-environment")
    return World(
        cloud=cloud,
        settings=chosen,
        model=chosen.models[0],
        work=out,
        origin=origin,
        desk=Desk(out, cloud, origin, script),
        record=record,
        approver=approver,
        borrow=script,
        person=make_person(cloud, chosen),
    )
