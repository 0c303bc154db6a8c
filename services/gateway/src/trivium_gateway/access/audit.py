"""Notes who changed what, in files that are only ever added to, or in the process' log."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from prometheus_client import Counter
from trivium_serving.errors import TriviumError
from trivium_serving.request_context import request_id

from trivium_gateway.access.private_files import open_private

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from prometheus_client import CollectorRegistry

    from trivium_gateway.request.principal import Principal, Scope

_logger = logging.getLogger(__name__)

_DOCUMENTS_PER_LINE = 1_000
_INTERNAL = "INTERNAL"


@dataclass(slots=True)
class Entry:
    """What is noted of an action beside who did it and when.

    Attributes:
        action: What was done, such as `documents.delete`.
        collection: In which collection; empty for none.
        subject: What else it was done to: the id of a key or of a job.
        documents: To which documents it was done, each with what became of it. Their ids, and nothing else of them.
    """

    action: str
    collection: str = ""
    subject: str = ""
    documents: dict[str, str] = field(default_factory=dict)


class AuditLog:
    """A file for each day (UTC), `audit-YYYY-MM-DD.jsonl`, for its owner only, with an object in each line.

    An action is noted when it is over, also one that failed or was refused. What cannot be written is counted and
    logged, and does not undo what was done.

    Args:
        folder: Where the files are; None for none.
        registry: Where lines are counted.
        is_logged: Whether lines go to the process' log, where there is no folder.
    """

    def __init__(self, folder: Path | None, registry: CollectorRegistry, *, is_logged: bool = False) -> None:
        self._folder = folder
        self._is_logged = is_logged
        lines = Counter(
            "trivium_gateway_audit_lines",
            "Lines of the audit log, by whether they were written or lost.",
            ["outcome"],
            registry=registry,
        )
        self._written, self._lost = lines.labels("written"), lines.labels("lost")

    @asynccontextmanager
    async def action(
        self, principal: Principal, action: str, *, collection: str = "", subject: str = ""
    ) -> AsyncIterator[Entry]:
        """Notes what is done in the block, and how it ended.

        Args:
            principal: Who does it.
            action: What it is.
            collection: In which collection.
            subject: To what else.

        Yields:
            What is noted; the block adds what it finds out.
        """
        entry = Entry(action, collection, subject)
        try:
            yield entry
        except TriviumError as error:
            await self._note(principal, entry, error.reason)
            raise
        except asyncio.CancelledError:
            await asyncio.shield(self._note(principal, entry, "CANCELLED"))
            raise
        except Exception:
            await self._note(principal, entry, _INTERNAL)
            raise
        await self._note(principal, entry, "OK")

    async def permit(self, principal: Principal, scope: Scope, action: str, *, collection: str = "") -> None:
        """Refuses what a principal may not do, and notes that.

        Raises:
            PermissionDenied: It lacks the scope.
        """
        if scope not in principal.scopes:
            async with self.action(principal, action, collection=collection):
                principal.require(scope)

    async def _note(self, principal: Principal, entry: Entry, outcome: str) -> None:
        now = datetime.now(UTC)
        lines = _lines(principal, entry, outcome, now) if self._folder or self._is_logged else []
        if self._folder is None:
            for line in lines:
                _logger.info("audit %s", line.rstrip())
            self._written.inc(len(lines))
            return
        try:
            await asyncio.to_thread(_append, self._folder / f"audit-{now:%Y-%m-%d}.jsonl", lines)
        except OSError as error:
            self._lost.inc(len(lines))
            _logger.error("the audit log cannot be written, %d lines are lost: %s", len(lines), error)
        else:
            self._written.inc(len(lines))


def _lines(principal: Principal, entry: Entry, outcome: str, now: datetime) -> list[str]:
    told = {
        "time": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "request_id": request_id(),
        "tenant": principal.tenant,
        "key": principal.key_id,
        "user": principal.user,
        "action": entry.action,
        "collection": entry.collection,
        "subject": entry.subject,
        "outcome": outcome,
    }
    said = {name: value for name, value in told.items() if value}
    documents = list(entry.documents.items())
    parts = [documents[at : at + _DOCUMENTS_PER_LINE] for at in range(0, len(documents), _DOCUMENTS_PER_LINE)]
    lines = [said | ({"documents": dict(part)} if part else {}) for part in parts or [[]]]
    return [json.dumps(line, ensure_ascii=False) + "\n" for line in lines]


def _append(path: Path, lines: list[str]) -> None:
    """Adds lines in one write, so that those of several gateways on one folder do not mix."""
    file = open_private(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        for line in lines:
            _write(file, line.encode())
        os.fsync(file)
    finally:
        os.close(file)


def _write(file: int, line: bytes) -> None:
    """Adds a line whole, or none of it."""
    before = os.fstat(file).st_size
    if os.write(file, line) < len(line):
        os.ftruncate(file, before)
        raise OSError("there was no room for all of a line")
