"""The templates of the network that we make against CloudFormation's own schemas; make check looks at all others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.stacks.installations import assembly

CFN_LINT = Path(sys.executable).parent / "cfn-lint"


def test_cloudformation_knows_every_property_of_an_installation_with_a_network_of_its_own() -> None:
    templates = sorted(Path(assembly("new-network").directory).rglob("*.template.json"))
    assert {path.name for path in templates} >= {"ProdStack.template.json", "DevStack.template.json"}
    # How CDK writes: a DependsOn that a reference implies already (W3005), joins where a Sub is shorter (E3703).
    command = [str(CFN_LINT), "--ignore-checks", "W3005", "E3703", "--", *map(str, templates)]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout
