"""What was acknowledged is there after every process was killed with SIGKILL."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import httpx
from e2e.stack import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from e2e.stack import Stack


def test_documents_acknowledged_survive_sigkill_of_everything(make_stack: Callable[[], Stack]) -> None:
    stack = make_stack()
    stack.start()
    stack.wait_ready()
    acknowledged: list[str] = []

    def ingest_until_killed() -> None:
        for number in range(100_000):
            batch = [
                {"id": f"{number}-{part}", "text": f"Report {number} part {part} says that pump {part} was replaced."}
                for part in range(8)
            ]
            try:
                acknowledged.extend(result["id"] for result in stack.ingest(*batch) if result["status"] == "indexed")
            except httpx.HTTPError:
                return

    ingesting = threading.Thread(target=ingest_until_killed)
    ingesting.start()
    wait_until(lambda: len(acknowledged) >= 80, "80 acknowledged documents")
    stack.end()
    ingesting.join(60)

    stack.start()
    stack.wait_ready()
    for document_id in acknowledged:
        assert stack.http.get(f"/v1/documents/{document_id}").status_code == 200, f"{document_id} is lost"
    assert stack.answer("Which pump was replaced in report 3 part 5?")["citations"]
