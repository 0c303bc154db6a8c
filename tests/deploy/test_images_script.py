"""scripts/images builds what it is told, and takes it to where a cluster finds it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# In the place of docker, kind, minikube and k3s, which a machine that tests lacks: writes down what it is asked for.
RECORDER = """\
#!/bin/sh
echo "$(basename "$0") $*" >> "$ASKED"
case "$*" in "ctr images import -") cat >> "$ASKED" ;; save*) echo "the layers of $2" ;; esac
"""


def _run(
    folder: Path, *arguments: str, commands: str = "docker kind minikube k3s", **environ: str
) -> tuple[int, str, list[str]]:
    """Runs it where some commands are; returns its status, what it said, and what they were asked for."""
    for name in commands.split():
        (folder / name).write_text(RECORDER)
        (folder / name).chmod(0o755)
    asked = folder / "asked"
    asked.touch()
    done = subprocess.run(
        ["scripts/images", *arguments],
        cwd=ROOT,
        env={"PATH": f"{folder}:{os.environ['PATH']}", "HOME": str(folder), "ASKED": str(asked), **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr, asked.read_text().splitlines()


def _others(asked: list[str]) -> list[str]:
    return [line for line in asked if not line.startswith("docker build")]


@pytest.mark.parametrize(
    ("where", "last"),
    [
        ("kind", "kind load docker-image trivium/generate:0.1.0"),
        ("kind:second", "kind load docker-image trivium/generate:0.1.0 --name second"),
        ("minikube", "minikube image load trivium/generate:0.1.0"),
        ("minikube:second", "minikube image load trivium/generate:0.1.0 --profile second"),
    ],
)
def test_images_that_the_small_overlay_runs_are_built_and_loaded(tmp_path: Path, where: str, last: str) -> None:
    status, said, asked = _run(tmp_path, "--load", where)

    assert status == 0, said
    assert sum(line.startswith("docker build") for line in asked) == 4
    loaded = _others(asked)
    assert [line.split("trivium/")[1].split(":")[0] for line in loaded] == ["gateway", "embed", "rerank", "generate"]
    assert loaded[-1] == last


def test_images_for_k3s_go_into_its_store_as_docker_saves_them(tmp_path: Path) -> None:
    (tmp_path / "sudo").write_text('#!/bin/sh\nexec "$@"\n')
    (tmp_path / "sudo").chmod(0o755)
    status, said, asked = _run(tmp_path, "--load", "k3s", "embed")

    assert status == 0, said
    assert "k3s ctr images import -" in asked
    assert "the layers of trivium/embed:0.1.0" in asked


def test_images_are_pushed_to_the_registry_that_the_prefix_names(tmp_path: Path) -> None:
    prefix = "registry.example.com/team"
    status, said, asked = _run(tmp_path, "--push", "gateway", TRIVIUM_IMAGE_PREFIX=prefix)

    assert status == 0, said
    assert _others(asked) == [f"docker push --quiet {prefix}/gateway:0.1.0"]
    assert f"--tag {prefix}/gateway:0.1.0" in asked[0]


@pytest.mark.parametrize(
    ("arguments", "commands", "reason"),
    [
        (["--load"], "docker", "--load takes kind, minikube or k3s"),
        (["--load", "nomad"], "docker", "--load takes kind, minikube or k3s"),
        (["--load", "minikube"], "docker", "no command minikube"),
        (["--push"], "docker", "name a registry"),
        (["--unheard"], "docker", "no option --unheard"),
        (["nonsense"], "docker", "no services/nonsense/Dockerfile"),
    ],
)
def test_images_that_would_reach_no_cluster_are_refused_before_anything_is_built(
    tmp_path: Path, arguments: list[str], commands: str, reason: str
) -> None:
    status, said, asked = _run(tmp_path, *arguments, commands=commands)

    assert (status, asked) == (2, [])
    assert reason in said
