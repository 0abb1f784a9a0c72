"""Variables in the configuration of actions: ``#{namespace.name}``."""

from __future__ import annotations

import re
from collections.abc import Mapping

from local_cloud.codepipeline.errors import ActionFailed

_REFERENCE = re.compile(r"#\{([\w@-]+)\.([\w@-]+)\}")


def fill(configuration: Mapping[str, str], namespaces: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Return a configuration with its references replaced by the values of variables.

    Parameters
    ----------
    configuration
        As declared.
    namespaces
        Values by namespace and name, those of the pipeline (``variables``) and of its execution (``codepipeline``) too.

    Raises
    ------
    ActionFailed
        A reference names what no earlier action has made.

    See https://docs.aws.amazon.com/codepipeline/latest/userguide/actions-variables.html
    """

    def one(match: re.Match[str]) -> str:
        namespace, name = match.groups()
        if name not in namespaces.get(namespace, {}):
            known = ", ".join(sorted(f"{space}.{key}" for space, keys in namespaces.items() for key in keys))
            raise ActionFailed(
                f"The action's configuration names the variable {match[0]}, which no earlier action has set;"
                f" there are: {known}",
                code="InvalidVariable",
            )
        return namespaces[namespace][name]

    return {key: _REFERENCE.sub(one, str(value)) for key, value in configuration.items()}
