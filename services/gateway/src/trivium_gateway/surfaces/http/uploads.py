"""Documents that come as files of a multipart form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from trivium_serving.errors import InvalidField, StorageFull

from trivium_gateway.access.databases import is_full
from trivium_gateway.library.documents import NewDocument
from trivium_gateway.surfaces.http.bodies import limited_stream
from trivium_gateway.surfaces.http.json_text import parse_json

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.datastructures import FormData
    from starlette.requests import Request

    from trivium_gateway.domain.limits import GatewayLimits

_CALL_FIELDS = ("collection", "wait", "job", "readers")
_DOCUMENT_FIELDS = ("id", "title", "uri", "metadata")


class Upload:
    """The files of a form, and what the form says about them.

    Fields that are not files are `collection`, `wait` (true or false), `job`, `readers` (JSON), and, with a single
    file, `id`, `title`, `uri` and `metadata` (JSON).

    Args:
        form: The parsed form; closed by `close`.

    Raises:
        InvalidField: The form has no file, a field that is none of these, or fields of a document with several files.
    """

    def __init__(self, form: FormData) -> None:
        self._form = form
        self._files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
        fields: dict[str, str] = {}
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                continue
            if name not in (*_CALL_FIELDS, *_DOCUMENT_FIELDS):
                raise InvalidField(name, f"There is no form field {name}. See /docs.", reason="UNKNOWN_FIELD")
            if name in fields:
                raise InvalidField(name, f"The form field {name} comes twice.")
            fields[name] = value
        if not self._files:
            raise InvalidField("file", "The form has no file. Send at least one.", reason="MISSING_FIELD")
        self.collection = fields.pop("collection", "")
        self.job = fields.pop("job", "")
        self.readers = _readers(fields.pop("readers", None))
        wait = fields.pop("wait", "true")
        if wait not in ("true", "false"):
            raise InvalidField("wait", f"wait is {wait[:40]!r}; it must be true or false.")
        self.wait = wait == "true"
        check_job(self.job, wait=self.wait)
        if fields and len(self._files) > 1:
            field = next(iter(fields))
            raise InvalidField(field, f"The form field {field} is for a single file; there are {len(self._files)}.")
        self._fields = fields
        self._metadata = _metadata(fields.get("metadata"))

    async def documents(self) -> AsyncGenerator[NewDocument, None]:
        """The files as documents, each read when it is asked for."""
        for file in self._files:
            yield NewDocument(
                id=self._fields.get("id") or None,
                title=self._fields.get("title", ""),
                uri=self._fields.get("uri", ""),
                metadata=self._metadata,
                data=await file.read(),
                filename=file.filename or "",
                media_type=file.content_type or "",
                default_id="" if self._fields.get("uri") else _default_id(file.filename),
                readers=self.readers,
            )

    async def close(self) -> None:
        """Deletes the temporary files."""
        await self._form.close()


async def read_upload(request: Request, limits: GatewayLimits) -> Upload:
    """Reads a multipart form; large files go to disk.

    Raises:
        InvalidField: It is no multipart form, or see Upload.
        TooLarge: It is too large as a whole.
        StorageFull: There is no room for the large ones.
    """
    parser = MultiPartParser(
        request.headers,
        limited_stream(request, limits.max_body_bytes),
        max_files=limits.max_documents_per_request,
        max_fields=len(_DOCUMENT_FIELDS) + len(_CALL_FIELDS),
        max_part_size=limits.max_metadata_bytes * 2,
    )
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise InvalidField("body", f"The multipart form cannot be read: {error.message}") from error
    except OSError as error:
        if not is_full(error):
            raise
        raise StorageFull(
            "The gateway has no room for files that are on their way. Make room in its folder for temporary files, "
            "TMPDIR, then send them again."
        ).because(str(error)) from error
    try:
        return Upload(form)
    except InvalidField:
        await form.close()
        raise


def check_job(job_id: str, *, wait: bool) -> None:
    """Refuses a job to add documents to for a caller that waits for them.

    Raises:
        InvalidField: That is so.
    """
    if job_id and wait:
        raise InvalidField("job", "A job takes documents whose sender does not wait for them: set wait to false.")


def _default_id(filename: str | None) -> str:
    """A file's name, which may be a path, names its document, so that a later version replaces it."""
    name = filename or ""
    return name if name.isprintable() else ""


def _readers(text: str | None) -> list[str]:
    if text is None:
        return []
    readers = parse_json(text, "readers")
    if not isinstance(readers, list) or not readers or not all(isinstance(one, str) for one in readers):
        raise InvalidField("readers", 'readers must be a JSON list of texts, for example ["group:hr"].')
    return readers


def _metadata(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    metadata = parse_json(text, "metadata")
    if not isinstance(metadata, dict):
        raise InvalidField("metadata", "metadata must be a JSON object.")
    return metadata
