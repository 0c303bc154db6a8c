"""Sources on web servers, in repositories and in archives: what they tell, what they hide, and where links lead."""

from __future__ import annotations

import base64
import json
import sys
import threading
import zipfile
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar

import pytest
from trivium_client.sync import SourceUnavailable, open_source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytest.importorskip("aiohttp")
pytest.importorskip("requests")

OLD = "Mon, 01 Jan 2024 00:00:00 GMT"


@dataclass
class Web:
    """A web server: what it says at which path, and what it was asked."""

    address: str
    pages: dict[str, tuple[int, str]] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    default: tuple[int, str] = (404, "")
    asked: list[str] = field(default_factory=list)
    credentials: set[str] = field(default_factory=set)

    def serve(self, folder: str, *links: str, **files: str) -> None:
        """Puts a page of links, and files beside it."""
        self.pages[f"/{folder}/"] = (200, "".join(f'<a href="{link}">x</a>' for link in (*links, *files)))
        for name, text in files.items():
            self.pages[f"/{folder}/{name}"] = (200, text)


@pytest.fixture
def web() -> Iterator[Web]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        web: ClassVar[Web]

        def answer(self) -> None:
            self.web.asked.append(f"{self.command} {self.path}")
            self.web.credentials.add(self.headers.get("Authorization", ""))
            status, text = self.web.pages.get(self.path, self.web.default)
            if status == 0:
                self.close_connection = True
                return
            content = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(content)))
            for name, value in self.web.headers.get(self.path, {}).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_HEAD = answer  # noqa: N815  # as the server calls them

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Handler.web = Web(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Handler.web
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("header", [{"ETag": '"1"'}, {"Last-Modified": OLD}])
def test_file_on_a_web_server_that_did_not_change_costs_a_look_and_no_more(web: Web, header: dict[str, str]) -> None:
    web.serve("docs", **{"a.md": "A", "b.md": "B"})
    web.headers = {"/docs/a.md": header, "/docs/b.md": header}
    source = open_source(f"{web.address}/docs/")
    first = source.list().files
    web.asked.clear()
    second = source.list().files

    assert sorted(web.asked) == ["GET /docs/", "HEAD /docs/a.md", "HEAD /docs/b.md"]
    assert [file.stamp for file in first] == [file.stamp for file in second]
    assert all(file.stamp for file in second)
    web.headers["/docs/a.md"] = {"ETag": '"2"'}
    changed = source.list().files
    assert (changed[0].stamp == first[0].stamp, changed[1].stamp == first[1].stamp) == (False, True)


def test_web_server_that_tells_nothing_of_its_files_has_them_read(web: Web) -> None:
    web.serve("docs", **{"a.md": "A"})
    [file] = open_source(f"{web.address}/docs/").list().files
    assert (file.stamp, file.read().data) == ("", b"A")


@pytest.mark.parametrize("answer", [(500, ""), (403, ""), (0, "")], ids=["error", "forbidden", "hangs up"])
def test_folder_that_a_web_server_does_not_show_now_is_unseen_and_not_empty(web: Web, answer: tuple[int, str]) -> None:
    web.serve("docs", "b/", **{"a.md": "A"})
    web.pages["/docs/b/"] = answer
    listing = open_source(f"{web.address}/docs/").list()

    assert [file.key for file in listing.files] == ["a.md"]
    assert listing.unseen == [f"{web.address}/docs/b"]


def test_links_of_a_web_page_lead_to_no_file_outside_of_the_source_and_to_none_twice(web: Web) -> None:
    hostile = ("./", "../", "../secret.md", "b/../../secret.md", "/secret.md", "#top.md", "?C=N;O=D", "b/", "./a.md")
    web.serve("docs", *hostile, "https://example.org/x.md", f"{web.address}/docs-of-others/y.md", **{"a.md": "A"})
    web.serve("docs/b", "../", "./", "/docs/", **{"my%20file.md": "B"})
    web.pages["/secret.md"] = (200, "secret")
    listing = open_source(f"{web.address}/docs/").list()

    assert [file.key for file in listing.files] == ["a.md", "b/my file.md"]
    assert [file.uri for file in listing.files] == [f"{web.address}/docs/a.md", f"{web.address}/docs/b/my%20file.md"]
    assert [(file.read().filename, file.read().data) for file in listing.files][1] == ("my file.md", b"B")


def test_web_server_with_links_without_an_end_is_no_source(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trivium_client.sync.remote._MOST_FOLDERS", 50)
    web.default = (200, '<a href="deeper/">x</a>')
    with pytest.raises(SourceUnavailable, match="more than 50 folders, or links without an end"):
        open_source(f"{web.address}/docs/").list()


def test_web_server_that_wants_a_password_says_so_and_the_password_is_shown_nowhere(web: Web) -> None:
    web.default = (401, "")
    with pytest.raises(SourceUnavailable, match=r"401.*Credentials are taken from the environment"):
        open_source(f"{web.address}/docs/").list()
    secret = web.address.replace("://", "://ann:hunter2@")
    with pytest.raises(SourceUnavailable) as caught:
        open_source(f"{secret}/docs/").list()
    assert "hunter2" not in str(caught.value)

    web.serve("docs", **{"a.md": "A"})
    source = open_source(f"{secret}/docs/")
    [file] = source.list().files
    assert f"Basic {base64.b64encode(b'ann:hunter2').decode()}" in web.credentials
    assert "hunter2" not in source.uri + file.uri
    assert source.has(file.uri)
    assert file.read().uri == file.uri


@pytest.mark.parametrize(("kind", "library"), [("s3", "s3fs"), ("gs", "gcsfs"), ("az", "adlfs")])
def test_store_whose_library_is_missing_says_which_to_install(
    monkeypatch: pytest.MonkeyPatch, kind: str, library: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)  # as where it is not installed
    with pytest.raises(SourceUnavailable, match=rf"(?i){kind}://bucket/manuals needs a library: .*install {library}"):
        open_source(f"{kind}://bucket/manuals")


def test_server_that_nobody_reaches_and_a_file_in_place_of_a_folder_are_no_source(web: Web) -> None:
    web.serve("docs", **{"a.md": "A"})
    for address in ("http://127.0.0.1:1/docs/", f"{web.address}/no/", f"{web.address}/docs/a.md"):
        with pytest.raises(SourceUnavailable, match="cannot be looked at: "):
            open_source(address).list()


def test_files_of_two_repositories_are_not_the_same_though_their_paths_are(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fsspec.implementations.github import GithubFileSystem

    monkeypatch.setattr(GithubFileSystem, "url", web.address + "/{org}/{repo}/{sha}")
    monkeypatch.setattr(GithubFileSystem, "content_url", web.address + "/{org}/{repo}/{sha}/{path}")
    for repository in ("one", "two"):
        folder = {"path": "docs", "mode": "040000", "type": "tree", "sha": "t1"}
        file = {"path": "a.md", "mode": "100644", "type": "blob", "size": 3, "sha": f"blob-{repository}"}
        web.pages[f"/acme/{repository}/main"] = (200, json.dumps({"tree": [folder]}))
        web.pages[f"/acme/{repository}/t1"] = (200, json.dumps({"tree": [file]}))
        content = base64.b64encode(repository.encode()).decode()
        web.pages[f"/acme/{repository}/main/docs/a.md"] = (200, json.dumps({"content": content}))
    one, two = (open_source(f"github://acme:{repository}@main/docs") for repository in ("one", "two"))
    [first], [second] = one.list().files, two.list().files

    assert (first.key, first.uri) == ("a.md", "github://acme:one@main/docs/a.md")
    assert (first.read().data, second.read().data) == (b"one", b"two")
    assert not one.has(second.uri)
    assert first.stamp not in ("", second.stamp)


def test_files_of_two_archives_are_not_the_same_though_their_paths_are(tmp_path: Path) -> None:
    for name in ("one", "two"):
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as archive:
            archive.writestr("docs/a.md", name)
    one, two = (open_source(f"zip://docs::file://{tmp_path}/{name}.zip") for name in ("one", "two"))
    [first], [second] = one.list().files, two.list().files

    assert (first.key, first.read().data, second.read().data) == ("a.md", b"one", b"two")
    assert one.has(first.uri)
    assert not one.has(second.uri)
