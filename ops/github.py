"""Whether GitHub asks a person where the promotion relies on it: an environment without reviewers lets anybody pass."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

from ops.errors import CommandError

ENVIRONMENTS = ("permissions", "prod")
_SECONDS = 30


def check_reviewers(env: Mapping[str, str], environments: Sequence[str] = ENVIRONMENTS) -> None:
    """Refuse to promote where an environment has no required reviewers.

    A workflow that names an environment which doesn't exist makes one without any protection: forgetting to set it
    up would mean that nobody is asked.
    https://docs.github.com/en/rest/deployments/environments#get-an-environment

    Parameters
    ----------
    env
        GitHub's: ``GITHUB_API_URL``, ``GITHUB_REPOSITORY``, and ``GITHUB_TOKEN`` that may read actions.

    Raises
    ------
    CommandError
        Names the environments that nobody reviews.
    """
    missing = [key for key in ("GITHUB_API_URL", "GITHUB_REPOSITORY", "GITHUB_TOKEN") if not env.get(key)]
    if missing:
        raise CommandError(f"{', '.join(missing)} is not set: this runs in a job of GitHub Actions")
    open_ones = [name for name in environments if not _reviewed(env, name)]
    if open_ones:
        raise CommandError(
            f"nobody must review the GitHub environment {' and '.join(open_ones)}: the promotion would ask nobody;"
            " set required reviewers under Settings, Environments (docs/ci-systems.md)"
        )


def _reviewed(env: Mapping[str, str], environment: str) -> bool:
    rules = _environment(env, environment).get("protection_rules", [])
    return any(rule.get("type") == "required_reviewers" and rule.get("reviewers") for rule in rules)


def _environment(env: Mapping[str, str], environment: str) -> dict[str, Any]:
    url = f"{env['GITHUB_API_URL']}/repos/{env['GITHUB_REPOSITORY']}/environments/{environment}"
    headers = {"Authorization": f"Bearer {env['GITHUB_TOKEN']}", "Accept": "application/vnd.github+json"}
    if not url.startswith(("https://", "http://")):
        raise CommandError(f"GITHUB_API_URL must be a URL, got {env['GITHUB_API_URL']!r}")
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - the scheme is checked above
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310 - as above
            return dict(json.load(answer))
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return {}
        raise CommandError(
            f"GitHub answered {error.code} for the environment {environment}: {error.reason}"
        ) from None
    except urllib.error.URLError as error:
        raise CommandError(
            f"GitHub's API at {env['GITHUB_API_URL']} can't be reached: {error.reason}"
        ) from None
