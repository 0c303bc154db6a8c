"""The gRPC interface as a page, from the comments in protos/."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, ServiceDescriptorProto

# Where a declaration stands in its parent, as descriptor.proto numbers it.
_MESSAGES, _ENUMS, _SERVICES = 4, 5, 6
_FIELDS, _NESTED_MESSAGES, _NESTED_ENUMS = 2, 3, 4
_SCALARS = {number: name.removeprefix("TYPE_").lower() for name, number in FieldDescriptorProto.Type.items()}


def grpc_reference(protos: Path) -> str:
    """The page.

    Args:
        protos: The folder with trivium/.
    """
    files = _described(protos)
    parts = [
        "# gRPC reference",
        "What `protos/` says. Every service also serves `grpc.health.v1` and reflection. "
        "[The API by example](../api.md) shows calls, [errors](../errors.md) what they fail with.",
    ]
    for file in files:
        parts += _File(file).parts()
    return "\n\n".join(parts) + "\n"


def _described(protos: Path) -> list[FileDescriptorProto]:
    """The descriptors of our files with their comments: services first, shared messages last."""
    names = sorted(str(path.relative_to(protos)) for path in protos.glob("trivium/**/*.proto"))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "descriptors"
        command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{protos}", "--include_source_info"]
        subprocess.run([*command, f"--descriptor_set_out={out}", *names], check=True)
        files = FileDescriptorSet.FromString(out.read_bytes()).file
    return sorted(files, key=lambda file: (not file.service, "gateway" not in file.package, file.name))


class _File:
    """One file's share of the page."""

    def __init__(self, file: FileDescriptorProto) -> None:
        self._file = file
        self._comments = {tuple(one.path): one.leading_comments.strip() for one in file.source_code_info.location}

    def parts(self) -> Iterator[str]:
        file = self._file
        for index, service in enumerate(file.service):
            yield from self._service(service, (_SERVICES, index))
        for index, message in enumerate(file.message_type):
            yield from self._message(message, (_MESSAGES, index), f"{file.package}.")
        for index, enum in enumerate(file.enum_type):
            yield from self._enum(enum, (_ENUMS, index), f"{file.package}.")

    def _comment(self, path: tuple[int, ...]) -> str:
        return " ".join(self._comments.get(path, "").split())

    def _service(self, service: ServiceDescriptorProto, path: tuple[int, ...]) -> Iterator[str]:
        yield f"## {self._file.package}.{service.name}"
        yield self._comment(path)
        rows = ["| RPC | Takes | Returns | |", "|---|---|---|---|"]
        for index, method in enumerate(service.method):
            takes = ("stream of " if method.client_streaming else "") + self._linked(method.input_type)
            returns = ("stream of " if method.server_streaming else "") + self._linked(method.output_type)
            rows.append(f"| `{method.name}` | {takes} | {returns} | {self._comment((*path, 2, index))} |")
        yield "\n".join(rows)

    def _message(self, message: DescriptorProto, path: tuple[int, ...], within: str) -> Iterator[str]:
        if message.options.map_entry:
            return
        yield _heading(within, message.name)
        yield self._comment(path)
        if message.field:
            rows = ["| Field | Type | |", "|---|---|---|"]
            for index, field in enumerate(message.field):
                comment = self._comment((*path, _FIELDS, index))
                rows.append(f"| `{field.name}` | {self._type(field, message)} | {comment} |")
            yield "\n".join(rows)
        for index, nested in enumerate(message.nested_type):
            yield from self._message(nested, (*path, _NESTED_MESSAGES, index), f"{within}{message.name}.")
        for index, enum in enumerate(message.enum_type):
            yield from self._enum(enum, (*path, _NESTED_ENUMS, index), f"{within}{message.name}.")

    def _enum(self, enum: EnumDescriptorProto, path: tuple[int, ...], within: str) -> Iterator[str]:
        yield _heading(within, enum.name)
        yield self._comment(path)
        values = [
            f"| `{value.name}` | {value.number} | {self._comment((*path, 2, index))} |"
            for index, value in enumerate(enum.value)
        ]
        yield "\n".join(["| Value | Number | |", "|---|---|---|", *values])

    def _type(self, field: FieldDescriptorProto, message: DescriptorProto) -> str:
        entry = next((one for one in message.nested_type if field.type_name.endswith(f".{one.name}")), None)
        if entry is not None and entry.options.map_entry:
            key, value = entry.field
            return f"map of {self._type(key, entry)} to {self._type(value, entry)}"
        named = self._linked(field.type_name) if field.type_name else f"`{_SCALARS[field.type]}`"
        if field.label == FieldDescriptorProto.LABEL_REPEATED:
            return f"list of {named}"
        return f"{named}, optional" if field.proto3_optional else named

    def _linked(self, type_name: str) -> str:
        name = type_name.removeprefix(".")
        shown = name.removeprefix(f"{self._file.package}.")
        return f"[{shown}](#{_anchor(name)})" if name.startswith("trivium.") else f"`{name}`"


def _heading(within: str, name: str) -> str:
    return f"### {within}{name} {{: #{_anchor(within + name)} }}"


def _anchor(name: str) -> str:
    return name.lower().replace(".", "-")
