"""``make check``'s compliance part: every installation, against CDK's validation, our rules, cdk-nag and cfn-lint."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import aws_cdk as cdk

from cdk_mlops.compliance import add_rules
from tests.compliance.acknowledgements import compare, read
from tests.compliance.findings import PACKS, Finding, findings, names_of
from tests.compliance.installations import INSTALLATIONS, Installation, composed

OUT = Path("build/check")
# How CDK writes: a DependsOn that a reference implies already (W3005), joins where a Sub is shorter (E3703).
AS_CDK_WRITES = ("W3005", "E3703")


def main() -> int:
    """Check all installations; return 0 where nothing is left that nobody acknowledged."""
    found: set[Finding] = set()
    failures: list[str] = []
    for installation in INSTALLATIONS:
        out = OUT / installation.name
        shutil.rmtree(out, ignore_errors=True)
        with composed(installation, out) as (app, models):
            failures += validated(app, installation)
            mine = set(findings(app, names_of(models)))
        found |= mine
        print(f"   {installation.name}: {_stacks(out)}")
    acknowledged = read()
    failures += compare(found, acknowledged)
    failures += linted()
    packs = ", ".join(pack.__name__.removesuffix("Checks") for pack in PACKS)
    rules = Counter(finding.rule.rpartition("-")[2] for finding in found)
    print(f"   {packs}: {len(found)} findings of {len(rules)} rules, {len(acknowledged)} reasons")
    for line in failures:
        print(line, file=sys.stderr)
    return 1 if failures else 0


def validated(app: cdk.App, installation: Installation) -> list[str]:
    """Synthesize with CDK's template validation and our rules; return what they refuse."""
    add_rules(app)
    try:
        app.synth()
    except RuntimeError as error:
        refused = str(error).strip().splitlines()
        return [f"{installation.name}: {refused[0] if refused else error!r}"]
    return warnings(Path(app.outdir), installation.name)


def warnings(out: Path, name: str) -> list[str]:
    """Return the findings of the validation that didn't stop the synthesis, but should not be there."""
    report = out / "validation-report.json"
    if not report.is_file():
        raise FileNotFoundError(f"{name}: CDK wrote no {report.name}: was it validated?")
    plugins = json.loads(report.read_text())["pluginReports"]
    return [
        f"{name}: {violation['ruleName']}: {violation['description']}"
        for plugin in plugins
        for violation in plugin["violations"]
    ]


def linted() -> list[str]:
    """Run cfn-lint over all templates, equal ones once."""
    templates = {path.read_bytes(): path for path in sorted(OUT.rglob("*.template.json"))}
    command = [str(Path(sys.executable).parent / "cfn-lint"), "--ignore-checks", *AS_CDK_WRITES, "--"]
    run = subprocess.run([*command, *map(str, templates.values())], capture_output=True, text=True)
    print(f"   cfn-lint: {len(templates)} templates")
    return run.stdout.splitlines() if run.returncode else []


def _stacks(out: Path) -> str:
    return ", ".join(sorted(path.name.partition(".")[0] for path in out.glob("*.template.json")))


if __name__ == "__main__":
    sys.exit(main())
