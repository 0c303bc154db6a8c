"""The overlay that docs/kubernetes.md shows, as somebody would write it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from deploy.kubernetes_builds import FOLDER, ROOT, kustomize
from docs.snippets import snippets

if TYPE_CHECKING:
    from pathlib import Path


def test_overlay_of_the_page_takes_every_image_of_ours_from_the_registry_and_no_other(tmp_path: Path) -> None:
    shown = [one.code for one in snippets(ROOT / "docs/kubernetes.md", "yaml")]
    (overlay,) = (code for code in shown if "kind: Kustomization" in code)
    (registry,) = (code for code in shown if "local-config" in code)
    below = os.path.relpath(FOLDER.resolve(), tmp_path.resolve())
    (tmp_path / "kustomization.yaml").write_text(overlay.replace("../..", below))
    (tmp_path / "registry.yaml").write_text(registry)

    built = kustomize(tmp_path)

    assert "trivium-registry" not in {one["metadata"]["name"] for one in built}, "it would go to the cluster"
    specs = [one["spec"]["template"]["spec"] for one in built if one["kind"] in ("Deployment", "StatefulSet")]
    images = {container["image"].rpartition(":")[0] for spec in specs for container in spec["containers"]}
    ours = {f"registry.example.com/trivium/{name}" for name in ("gateway", "embed", "rerank", "generate-gpu")}
    assert images == {*ours, "qdrant/qdrant"}
