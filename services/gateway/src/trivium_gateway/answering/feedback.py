"""Takes what people say of answers, and makes labelled questions of it: a team's own questions become its measure."""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING

from prometheus_client import Counter
from trivium_serving.errors import FailedPrecondition, InvalidField, NotFound, TooLarge
from trivium_serving.request_context import is_request_id

from trivium_gateway.domain.limits import check_document_id, check_page_size, check_query, check_unicode
from trivium_gateway.domain.names import is_name
from trivium_gateway.library.eval_sets import eval_set, labelled_questions
from trivium_gateway.library.feedback import Feedback
from trivium_gateway.library.resolved import DEFAULT_COLLECTION
from trivium_gateway.request.fair_places import FairPlaces
from trivium_gateway.request.principal import Scope

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from prometheus_client import CollectorRegistry

    from trivium_gateway.access.audit import AuditLog
    from trivium_gateway.answering.trace_store import Traces
    from trivium_gateway.answering.traces import Trace
    from trivium_gateway.domain.limits import GatewayLimits
    from trivium_gateway.library.collections import Collections
    from trivium_gateway.library.documents import Documents
    from trivium_gateway.library.feedback import FeedbackStore
    from trivium_gateway.request.call_limit import CallLimit
    from trivium_gateway.request.principal import Principal

_MOST_READERS = 2  # at once, others wait: each has all of a tenant's in memory for a moment
_RATINGS = {1: "up", -1: "down"}


class FeedbackBox:
    """What people say of answers. Each sees what they said; an admin what everybody of the tenant did.

    Args:
        store: Where it is kept.
        traces: Which say what was asked and answered.
        collections: Finds the collections that were asked.
        documents: Reads their documents.
        exports: Bounds exports: each may read a whole collection.
        audit: Notes them.
        registry: Where it is counted.
        limits: What is accepted.
    """

    def __init__(
        self,
        store: FeedbackStore,
        *,
        traces: Traces,
        collections: Collections,
        documents: Documents,
        exports: CallLimit,
        audit: AuditLog,
        registry: CollectorRegistry,
        limits: GatewayLimits,
    ) -> None:
        self._store = store
        self._traces = traces
        self._collections = collections
        self._documents = documents
        self._exports = exports
        self._audit = audit
        self._reading = FairPlaces(lambda: _MOST_READERS)
        self._limits = limits
        self._given = Counter(
            "trivium_gateway_feedback_total", "What people said of answers.", ("rating",), registry=registry
        )
        for name in _RATINGS.values():
            self._given.labels(name)

    async def give(
        self,
        principal: Principal,
        request_id: str,
        rating: int,
        *,
        comment: str = "",
        answer: str = "",
        document_ids: Sequence[str] = (),
        question: str = "",
        collection: str = "",
    ) -> Feedback:
        """Keeps what someone says of an answer, in place of what they said of it before.

        Args:
            principal: Who says it.
            request_id: The request that it is about.
            rating: 1 for right, -1 for wrong.
            comment: What they say of it.
            answer: The right answer.
            document_ids: The documents that answer the question.
            question: What was asked, for when there is no trace of it any more.
            collection: Where, likewise; empty for `default`.

        Raises:
            PermissionDenied: The principal may not read.
            InvalidField: A field breaks a rule.
            TooLarge: A text is too long, or there are too many documents.
            NotFound: There is no trace, and no question (TRACE_NOT_FOUND).
            FailedPrecondition: The tenant has as much feedback as is kept (TOO_MUCH_FEEDBACK).
            Unavailable: It cannot be kept.
        """
        principal.require(Scope.READ)
        if not is_request_id(request_id):
            raise InvalidField("request_id", "request_id is none: it has 1 to 128 letters, digits and `._:-`.")
        self._check(rating, {"comment": comment, "answer": answer}, document_ids)
        trace = self._trace(principal, request_id, question)
        if trace is None:
            check_query("question", question, self._limits)
            if collection and not is_name(collection):
                raise InvalidField("collection", f"There can be no collection {collection[:80]!r}.")
        given, cited, refused = trace.answered if trace else ("", (), False)
        feedback = Feedback(
            request_id,
            principal.user,
            time.time(),
            rating,
            comment,
            answer.strip(),
            tuple(document_ids),
            trace.asked_text if trace else question,
            (trace.collection if trace else collection) or DEFAULT_COLLECTION,
            given[: self._limits.max_feedback_characters],
            cited,
            refused,
            tuple(sorted(principal.groups)),
        )
        count, size_bytes = await self._store.size(principal.tenant)
        if count >= self._limits.max_feedback or size_bytes >= self._limits.max_feedback_bytes:
            raise FailedPrecondition(
                f"There is feedback on {count} answers, {size_bytes >> 20} MiB of it; at most "
                f"{self._limits.max_feedback} and {self._limits.max_feedback_bytes >> 20} MiB are kept. Export it, and "
                "delete some.",
                reason="TOO_MUCH_FEEDBACK",
            )
        async with self._audit.action(principal, "feedback.give", collection=feedback.collection, subject=request_id):
            await self._store.put(principal.tenant, feedback)
        self._given.labels(_RATINGS[rating]).inc()
        return feedback

    async def all(self, principal: Principal) -> list[Feedback]:
        """The feedback that a principal may see, the oldest first.

        Raises:
            PermissionDenied: It may not read.
            Unavailable: The feedback cannot be read.
        """
        principal.require(Scope.READ)
        async with self._reading.place(principal.tenant):
            kept = await self._store.all(principal.tenant)
        if principal.sees_all:
            return kept
        return [one for one in kept if one.user == principal.user and principal.groups.issuperset(one.groups)]

    async def page(self, principal: Principal, *, page_size: int, page_token: str) -> tuple[list[Feedback], str]:
        """A page of the feedback that a principal may see, the oldest first, and the token of the next.

        Args:
            principal: Who asks.
            page_size: Most of it, from 1 to 1000.
            page_token: Where to go on; empty to begin.

        Raises:
            InvalidField: The page size is out of range, or the token is not one of ours.
            Unavailable: The feedback cannot be read.
        """
        check_page_size(page_size, self._limits)
        after = _read_token(page_token)
        left = [one for one in await self.all(principal) if after is None or _order(one) > after]
        page = left[:page_size]
        return page, _token(page[-1]) if len(left) > page_size else ""

    async def delete(self, principal: Principal, request_id: str) -> int:
        """Deletes the feedback on a request that a principal may see.

        Returns:
            How much.

        Raises:
            NotFound: There is none (FEEDBACK_NOT_FOUND).
            Unavailable: It cannot be deleted.
        """
        found = [one for one in await self.all(principal) if one.request_id == request_id]
        if not found:
            raise NotFound(f"There is no feedback on the request {request_id!r}.", reason="FEEDBACK_NOT_FOUND")
        async with self._audit.action(principal, "feedback.delete", subject=request_id):
            for one in found:
                await self._store.remove(principal.tenant, one)
        return len(found)

    async def export(
        self, principal: Principal, collection: str, *, judged_only: bool
    ) -> AsyncGenerator[tuple[str, bytes], None]:
        """A set of labelled questions of the feedback that a principal may see; see `eval_set`.

        Args:
            principal: Who exports.
            collection: Whose questions and documents; empty for `default`.
            judged_only: Whether to leave out the documents that no question is about.

        Raises:
            NotFound: There is no such collection.
            FailedPrecondition: None of its feedback says what would be right (NO_LABELS).
            Overloaded: There are too many exports.
            Unavailable: The feedback or the documents cannot be read.
        """
        name = collection or DEFAULT_COLLECTION
        async with self._audit.action(principal, "feedback.export", collection=name):
            questions = labelled_questions(one for one in await self.all(principal) if one.collection == name)
            place = await self._collections.find(name, tenant=principal.tenant)
            if not questions:
                raise FailedPrecondition(
                    f"No feedback on the collection {name!r} says what is right. A thumb up on an answer with "
                    "citations does, or a corrected answer or source.",
                    reason="NO_LABELS",
                )
        with self._exports.place(principal.tenant):
            lines = eval_set(questions, self._documents, place, reader=principal.reader, judged_only=judged_only)
            async for line in lines:
                yield line

    async def close(self) -> None:
        """Gives back what it is kept in."""
        await self._store.close()

    def _check(self, rating: int, texts: dict[str, str], document_ids: Sequence[str]) -> None:
        limits = self._limits
        if rating not in _RATINGS:
            raise InvalidField("rating", f"rating is {rating}; it must be 1 for right or -1 for wrong.")
        for field, text in texts.items():
            check_unicode(field, text)
            if len(text) > limits.max_feedback_characters:
                raise TooLarge(
                    f"{field} has {len(text)} characters; at most {limits.max_feedback_characters} are allowed.",
                    reason="FEEDBACK_TOO_LONG",
                    field=field,
                )
        if len(document_ids) > limits.max_feedback_documents:
            raise TooLarge(
                f"There are {len(document_ids)} document ids; at most {limits.max_feedback_documents} are allowed.",
                reason="TOO_MANY_DOCUMENTS",
                field="document_ids",
            )
        for document_id in document_ids:
            check_document_id(document_id, limits)

    def _trace(self, principal: Principal, request_id: str, question: str) -> Trace | None:
        """What was asked and answered; None if nothing says so any more, and the question came along."""
        try:
            return self._traces.get(principal, request_id)
        except NotFound as error:
            if question:
                return None
            error.message += " Send `question` along, and `collection` if it is not `default`."
            raise


def _order(feedback: Feedback) -> tuple[float, str, str]:
    return feedback.created_at, feedback.request_id, feedback.user


def _token(feedback: Feedback) -> str:
    return base64.urlsafe_b64encode(json.dumps(_order(feedback)).encode()).decode()


def _read_token(page_token: str) -> tuple[float, str, str] | None:
    if not page_token:
        return None
    try:
        created_at, request_id, user = json.loads(base64.urlsafe_b64decode(page_token))
        return float(created_at), str(request_id), str(user)
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise InvalidField(
            "page_token", "The page token is not one that a list gave. Leave it out to begin with the first page."
        ) from None
