"""A stack's part of an assembly: found wherever it lies, packed the same every time, and enough to deploy it."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

from ops import assembly
from ops.errors import CommandError
from tests.stacks.installations import assembly as synthesized


@pytest.fixture(scope="module")
def folder() -> Path:
    """The assembly of an installation with staging and a delivery pipeline."""
    return Path(synthesized("full").directory)


def names(archive: bytes) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(archive)) as packed:
        return packed.namelist()


def held(archive: bytes, name: str) -> Any:
    with zipfile.ZipFile(io.BytesIO(archive)) as packed:
        return json.loads(packed.read(name))


def test_a_stacks_pipelines_are_told_with_their_tags(folder: Path) -> None:
    found = assembly.find(folder, "ProdStack")
    assert sorted(found.pipelines) == [
        f"mammo-severity-{kind}-pipeline" for kind in ("inference", "quality", "train")
    ]
    assert found.commit == "0" * 40
    assert {len(sha256) for sha256 in found.definitions.values()} == {64}


def test_a_stack_is_found_in_an_assembly_that_is_nested_too(folder: Path, tmp_path: Path) -> None:
    whole = tmp_path / "cdk.out"
    shutil.copytree(folder, whole)
    manifest = json.loads((whole / "manifest.json").read_text())
    direct = assembly.find(whole, "ProdStack")
    del manifest["artifacts"]["ProdStack"]
    (whole / "manifest.json").write_text(json.dumps(manifest))
    nested = assembly.find(whole, "ProdStack")
    assert nested.folder.name == "assembly-DeliveryStack-Prod"
    assert nested.pipelines == direct.pipelines
    assert held(nested.pack(), "manifest.json")["artifacts"]["ProdStack"]["displayName"] == "ProdStack"
    assert [one for one in names(nested.pack()) if one.startswith("asset.")] == [
        one for one in names(direct.pack()) if one.startswith("asset.")
    ]


def test_packing_gives_the_same_bytes_again_wherever_the_assembly_lies(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "elsewhere")
    first = assembly.find(folder, "StagingStack").pack()
    assert assembly.find(tmp_path / "elsewhere", "StagingStack").pack() == first


def test_a_pack_holds_one_stack_with_all_its_assets_and_nothing_of_the_others(folder: Path) -> None:
    packed = assembly.find(folder, "DevStack").pack()
    assert sorted(held(packed, "manifest.json")["artifacts"]) == ["DevStack", "DevStack.assets"]
    assert not [one for one in names(packed) if "Prod" in one or "metadata" in one or "tree" in one]
    sources = [one["source"]["path"] for one in held(packed, "DevStack.assets.json")["files"].values()]
    tops = {one.split("/")[0] for one in names(packed)}
    assert set(sources) <= tops
    assert "DevStack.template.json" in tops


def test_a_folder_without_an_assembly_says_how_one_is_made(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"there is no assembly in .*; make one: make synth"):
        assembly.find(tmp_path, "ProdStack")


def test_a_manifest_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("[]")
    with pytest.raises(CommandError, match=r"manifest\.json is no manifest of an assembly"):
        assembly.find(tmp_path, "ProdStack")


def test_a_stack_that_the_assembly_has_not_is_named_with_those_it_has() -> None:
    folder = Path(synthesized("default").directory)
    with pytest.raises(CommandError, match="has no StagingStack, only DevStack, ProdStack, RegistryStack"):
        assembly.find(folder, "StagingStack")


def test_a_stack_with_an_image_is_refused_since_no_archive_would_hold_it(
    folder: Path, tmp_path: Path
) -> None:
    whole = tmp_path / "cdk.out"
    shutil.copytree(folder, whole)
    file = whole / "ProdStack.assets.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"dockerImages": {"a": {}}}))
    with pytest.raises(CommandError, match="ProdStack has image assets"):
        assembly.find(whole, "ProdStack").pack()
