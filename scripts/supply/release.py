"""Makes a release in the current folder's repository: versions, changelog, the contract as released, commit, tag."""

from __future__ import annotations

import argparse
import datetime
import re
import subprocess
import sys
from pathlib import Path

# Where the version, here @, stands and what stands around it.
_PLACES = {
    "*/*/pyproject.toml": r'(?<=["=])@(?=\+src")',
    "services/*/Dockerfile*": r"(?<=^ARG VERSION=)@(?=$)",
    "docker-compose.yml": r"(?<=TRIVIUM_VERSION:-)@(?=\})",
    "deploy/compose/*.yml": r"(?<=TRIVIUM_VERSION:-)@(?=\})",
    ".env.example": r"(?<=TRIVIUM_VERSION=)@(?=$)",
    "scripts/images": r"(?<=TRIVIUM_VERSION:-)@(?=\})|(?<=trivium and )@(?= by default)",
    "deploy/k8s/**/*.yaml": r"(?<=newTag: )@(?![\d.])|(?P<image>trivium/[\w-]+:)@(?![\d.])",
    "deploy/ray/*": r"(?P<image>trivium/[\w-]+:)@(?![\d.])",
    "deploy/helm/*/Chart.yaml": r"(?<=ersion: )@(?=$)",
    "docs/*.md": r"(?<=newTag: )@(?![\d.])|(?P<image>trivium/[\w,{}-]+:)@(?![\d.])",
}
_CONTRACT = "protos/released.binpb"


class ReleaseError(Exception):
    """There can be no release; the message says why."""


def current_version(root: Path) -> str:
    """The version that the packages have now, without `+src`."""
    project = (root / "clients" / "python" / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(r'^version = "(.+)\+src"$', project, re.MULTILINE)
    if found is None:
        raise ReleaseError("clients/python/pyproject.toml has no version that ends in +src")
    return found[1]


def bump(root: Path, old: str, new: str) -> list[Path]:
    """Writes the new version wherever the old one stands; returns the files that changed.

    Raises:
        ReleaseError: If one of the places does not have the old one.
    """
    changed = []
    for pattern, around in _PLACES.items():
        expression = re.compile(around.replace("@", re.escape(old)), re.MULTILINE)
        found = False
        for path in sorted(root.glob(pattern)):
            text = path.read_text(encoding="utf-8")
            bumped, count = expression.subn(lambda match: (match.groupdict().get("image") or "") + new, text)
            found |= count > 0
            if bumped != text:
                path.write_text(bumped, encoding="utf-8")
                changed.append(path)
        if not found:
            raise ReleaseError(f"{pattern} says nowhere that the version is {old}; correct that, or where this looks")
    return changed


def close_changelog(text: str, version: str, date: str) -> str:
    """Moves what is under Unreleased to a section of its own.

    Raises:
        ReleaseError: If there is nothing, or the version has a section already.
    """
    if f"## [{version}]" in text:
        raise ReleaseError(f"CHANGELOG.md has a section {version} already")
    found = re.search(r"^## \[Unreleased\]\n(.*?)(?=^## \[|\Z)", text, re.MULTILINE | re.DOTALL)
    if found is None or not found[1].strip():
        raise ReleaseError("CHANGELOG.md has nothing under [Unreleased]; a release without a change needs no release")
    section = f"## [Unreleased]\n\n## [{version}] - {date}\n\n{found[1].strip()}\n"
    rest = text[found.end() :]
    return text[: found.start()] + section + (f"\n{rest}" if rest else "")


def release(root: Path, version: str, *, dry_run: bool) -> list[str]:
    """Makes the release and returns what is to be done by hand.

    Raises:
        ReleaseError: If the version is none, not newer, released already, or the tree is not clean.
    """
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise ReleaseError(f"{version} is no version such as 1.2.3")
    if _git(root, "status", "--porcelain"):
        raise ReleaseError("there are changes that are not committed; commit them first")
    tag = f"v{version}"
    if _git(root, "tag", "--list", tag):
        raise ReleaseError(f"{tag} is released already")
    old = current_version(root)
    if [*map(int, version.split("."))] < [*map(int, old.split("."))]:
        raise ReleaseError(f"{version} is older than {old}, which the packages have")
    changelog = root / "CHANGELOG.md"
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    closed = close_changelog(changelog.read_text(encoding="utf-8"), version, today)
    try:
        changed = bump(root, old, version)
        changelog.write_text(closed, encoding="utf-8")
        _record_contract(root)
        if dry_run:
            return [_git(root, "diff", "--stat"), f"nothing was changed: without --dry-run this would become {tag}"]
        paths = [*(str(path.relative_to(root)) for path in changed), "CHANGELOG.md", _CONTRACT]
        _git(root, "commit", "--quiet", "--message", f"release: {version}", "--", *paths)
        _git(root, "tag", "--annotate", "--message", f"Trivium {version}", tag)
    finally:
        _git(root, "checkout", "--quiet", "--", ".")  # the tree was clean: this undoes a dry run, or half a release
    return [
        f"committed and tagged {tag}",
        "next: make test, then git push --follow-tags; scripts/images; trivium bundle",
    ]


def _record_contract(root: Path) -> None:
    """Makes the protos as they are now what later ones are compared with."""
    built = subprocess.run(
        [root / "scripts" / "buf", "build", "--output", root / _CONTRACT], capture_output=True, text=True
    )
    if built.returncode != 0 or "skipped" in built.stderr:
        raise ReleaseError(f"the contract could not be recorded: {built.stderr.strip()}")


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True)
    if done.returncode != 0:
        raise ReleaseError(f"git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


def main() -> int:
    """Runs `release.py [--dry-run] VERSION`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("version")
    parser.add_argument("--dry-run", action="store_true")
    options = parser.parse_args()
    try:
        print("\n".join(release(Path.cwd(), options.version, dry_run=options.dry_run)))
    except ReleaseError as error:
        print(f"release: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
