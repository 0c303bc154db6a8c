"""Bundles: what is written can be installed without a network, and nothing else can be installed at all."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from trivium_client.bundle.install import MANIFEST, SUMS, BundleError, install, verify
from trivium_client.bundle.wheels import needed_glibc
from trivium_client.bundle.write import Wanted, Written, write

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[3]
REVISION = "0123456789abcdef0123456789abcdef01234567"
NAMESPACE = ("unshare", "--user", "--map-root-user", "--net", "--")

Members = dict[str, tuple[tarfile.TarInfo, bytes]]


def silent(what: str, done: int, total: int) -> None:
    """Shows no progress."""


def _make_model(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    return folder


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """A bundle of the command alone, with a model of the hub's and one in a folder."""
    folder = tmp_path_factory.mktemp("bundle")
    cached = folder / "cache" / "hub" / "models--acme--tiny"
    _make_model(cached / "snapshots" / REVISION)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(REVISION)
    ours = _make_model(folder / "our-model")
    command = [sys.executable, "-m", "trivium_client.cli.app", "bundle", "--source", str(ROOT), "--profile", "client"]
    command += ["--model", "acme/tiny", "--model", str(ours), "--model", "all-MiniLM-L6-v2"]
    command += ["--output", str(folder / "trivium.tar"), "--json"]
    environment = os.environ | {"HF_HOME": str(folder / "cache"), "HF_HUB_OFFLINE": "1"}
    outcome = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert outcome.returncode == 0, outcome.stderr
    report = json.loads(outcome.stdout)
    return Written(Path(report["archive"]), report["sha256"], report["bytes_by_part"])


def _namespaces_work() -> bool:
    return bool(shutil.which("unshare")) and subprocess.run([*NAMESPACE, "true"], capture_output=True).returncode == 0


@pytest.mark.skipif(not _namespaces_work(), reason="needs unshare and the right to make network namespaces")
def test_bundle_without_any_network_installs_command_and_models(written: Written, tmp_path: Path) -> None:
    with tarfile.open(written.path) as archive:
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.iterdir()
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "home"), "PYTHON": sys.executable}
    script = [*NAMESPACE, str(unpacked / "install.sh"), "--into", str(tmp_path / "here")]

    outcome = subprocess.run(script, env=environment, cwd=tmp_path, capture_output=True, text=True)

    assert outcome.returncode == 0, outcome.stderr
    trivium = tmp_path / "here" / "venv" / "bin" / "trivium"
    assert f"next: {trivium} --help" in outcome.stdout
    models = subprocess.run([trivium, "models"], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert "all-MiniLM-L6-v2" in models.stdout, models.stderr
    asked = "from trivium_encoders.resolution import resolve; print(resolve('acme/tiny').path)"
    offline = environment | {"HF_HUB_OFFLINE": "1"}
    found = subprocess.run([sys.executable, "-c", asked], env=offline, capture_output=True, text=True)
    assert found.stdout.strip() == str(
        tmp_path / "home/.cache/huggingface/hub/models--acme--tiny/snapshots" / REVISION
    ), found.stderr
    assert (tmp_path / "here" / "models" / "our-model" / "model.safetensors").read_bytes() == b"weights"
    assert (tmp_path / "here" / "docker-compose.yml").is_file()


def test_bundle_manifest_says_what_is_inside(written: Written) -> None:
    manifest = verify(written.path, silent, sha256=written.sha256)

    assert {package["name"]: package["licence"] for package in manifest["packages"]}["trivium-client"] == "Apache-2.0"
    assert [(model["name"].rsplit("/", 1)[-1], model["licence"]) for model in manifest["models"]] == [
        ("tiny", "mit"),
        ("our-model", "mit"),  # the packaged one is a wheel
    ]
    assert manifest["platform"]["python"] == f"cpython 3.{sys.version_info.minor}"


def _members(path: Path) -> Members:
    with tarfile.open(path) as archive:
        return {
            member.name.split("/", 1)[1]: (member, content.read())
            for member in archive
            if (content := archive.extractfile(member))
        }


def _add_up(members: Members) -> None:
    sums = "".join(
        f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, (_, data) in members.items() if name != SUMS
    )
    members[SUMS] = (members[SUMS][0], sums.encode())


def _edit_manifest(members: Members, edit: Callable[[dict[str, Any]], object]) -> None:
    manifest = json.loads(members[MANIFEST][1])
    edit(manifest)
    members[MANIFEST] = (members[MANIFEST][0], json.dumps(manifest).encode())
    _add_up(members)


def _flip(members: Members) -> None:
    member, data = members["install.py"]
    members["install.py"] = (member, data[:-1] + b"x")


def _leave_out(members: Members) -> None:
    del members["LICENSE"]


def _add(name: str) -> Callable[[Members], None]:
    def add(members: Members) -> None:
        members[name] = (tarfile.TarInfo(f"bundle/{name}" if not name.startswith("/") else name), b"evil")

    return add


def _link(members: Members) -> None:
    member = tarfile.TarInfo("bundle/LICENSE")
    member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
    members["LICENSE"] = (member, b"")


def _other(field: str, value: str) -> Callable[[Members], None]:
    return lambda members: _edit_manifest(members, lambda manifest: manifest["platform"].update({field: value}))


def _huge(members: Members) -> None:
    _edit_manifest(members, lambda manifest: manifest.update(installed_bytes=10**15))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_flip, "install.py in the bundle is damaged"),
        (_leave_out, "lacks LICENSE; copy it again"),
        (_add("wheels/evil.whl"), "wheels/evil.whl, which SHA256SUMS does not list"),
        (_add("../../evil"), "would not stay in its folder"),
        (_add("/evil"), "would not stay in its folder"),
        (_link, "is a link"),
        (_other("machine", "s390x"), "for processors of the kind s390x"),
        (_other("python", "cpython 3.9"), "for cpython 3.9, and this is"),
        (_other("glibc", "9.9"), "needs glibc 9.9"),
        (_huge, "free, and the installation needs 1000000.0 GB"),
    ],
)
def test_bundle_that_is_bad_or_for_another_machine_changes_nothing(
    written: Written, tmp_path: Path, change: Callable[[Members], None], message: str
) -> None:
    members = _members(written.path)
    change(members)
    bad = tmp_path / "bad.tar"
    with tarfile.open(bad, "w") as archive:
        for member, data in members.values():
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))

    with pytest.raises(BundleError, match=message):
        install(bad, tmp_path / "here", silent)

    assert not (tmp_path / "here").exists()


def test_bundle_commands_say_as_json_what_they_did(written: Written, tmp_path: Path) -> None:
    def said(*arguments: object) -> Any:
        command = [sys.executable, "-m", "trivium_client.cli.app", "bundle", *map(str, arguments), "--json"]
        environment = os.environ | {"HF_HOME": str(tmp_path / "hub")}
        outcome = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert outcome.returncode == 0, outcome.stderr
        return json.loads(outcome.stdout)

    assert said("verify", written.path) == verify(written.path, silent)
    here = tmp_path / "here"
    installed = said("install", written.path, "--into", here)
    assert installed["folder"] == str(here)
    assert installed["next"] == [f"{here / 'venv' / 'bin' / 'trivium'} --help"]
    tiny, ours = installed["models"]
    assert (tiny["name"], tiny["use"]) == ("acme/tiny", "acme/tiny")
    assert (Path(tiny["folder"]) / "refs" / "main").read_text() == REVISION
    assert ours["use"] == ours["folder"] == str(here / "models" / "our-model")


def test_bundle_cut_off_anywhere_says_so(written: Written, tmp_path: Path) -> None:
    cut = tmp_path / "cut.tar"
    for share in (0.0001, 0.3, 0.9):
        with open(written.path, "rb") as whole:
            cut.write_bytes(whole.read(int(written.path.stat().st_size * share)))
        with pytest.raises(BundleError, match="copy it again"):
            verify(cut, silent)


def test_bundle_of_somebody_else_is_refused_by_its_sum(written: Written) -> None:
    with pytest.raises(BundleError, match="not the archive that you expect"):
        verify(written.path, silent, sha256="0" * 64)


def test_install_into_folder_with_content_is_refused(written: Written, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")

    with pytest.raises(BundleError, match="choose another folder with --into"):
        install(written.path, tmp_path, silent)

    assert (tmp_path / "mine").read_text() == "precious"


def test_bundle_outside_the_repository_says_where_to_go(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="is not Trivium's folder"):
        write(Wanted(tmp_path), tmp_path / "x.tar", silent)


def test_needed_glibc_is_the_newest_of_the_oldest_each_takes() -> None:
    names = ["a-1-py3-none-any.whl", "b-1-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl"]

    assert needed_glibc(names) == "2.27"
    assert needed_glibc(names[:1]) == ""
