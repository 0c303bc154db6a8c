"""Documents that are ZIP archives of XML files, unpacked within bounds."""

import io
import posixpath
import re
import zipfile
from collections.abc import Iterator
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from trivium_gateway.ingestion.formats.bounds import MAX_MEMBERS, MAX_UNPACKED_BYTES, broken, encrypted, too_much

__all__ = ["Package", "local_name", "parse_xml", "shown_in"]

_RELATIONSHIP = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"
_STRICT = re.compile(rb"http://purl\.oclc\.org/ooxml/(\w+)/(\w+)")
"""What the strict form of the standard calls the namespaces that every program writes otherwise."""
_ENCRYPTED_FLAG = 0x1
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


class Package:
    """A packed document.

    Args:
        data: The file.
        what: What it should be, for messages.

    Raises:
        InvalidField: It is no archive (FILE_BROKEN) or needs a password (FILE_ENCRYPTED).
        TooLarge: It would be too large unpacked (DOCUMENT_TOO_LARGE).
    """

    def __init__(self, data: bytes, what: str) -> None:
        self._what = what
        if data.startswith(_OLE):  # the form that Office gives to what it encrypts, and that old formats have
            raise encrypted() if b"E\0n\0c\0r\0y\0p\0t\0e\0d\0" in data else broken(what)
        try:
            self._archive = zipfile.ZipFile(io.BytesIO(data))
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
            raise broken(what) from error
        members = self._archive.infolist()
        size = sum(member.file_size for member in members)
        if len(members) > MAX_MEMBERS or size > MAX_UNPACKED_BYTES:
            raise too_much(f"{size >> 20} MiB in {len(members)} parts, unpacked")
        if any(member.flag_bits & _ENCRYPTED_FLAG for member in members):
            raise encrypted()
        self.names = frozenset(member.filename for member in members)

    def read(self, name: str) -> bytes:
        """Unpack one part; zipfile gives no more of it than the directory declared."""
        return self._archive.read(name)

    def xml(self, name: str) -> Element:
        """Unpack and parse one part."""
        return parse_xml(_STRICT.sub(rb"http://schemas.openxmlformats.org/\1/2006/\2", self.read(name)), self._what)

    def related(self, name: str) -> dict[str, tuple[str, str]]:
        """Find what a part of an Office document refers to: by id, the last word of the kind and the part's name."""
        folder, base = posixpath.split(name)
        relations = posixpath.join(folder, "_rels", f"{base}.rels")
        if relations not in self.names:
            return {}
        found = {}
        for relation in self.xml(relations).iter(_RELATIONSHIP):
            if relation.get("TargetMode") == "External":
                continue
            target = posixpath.normpath(posixpath.join("/", folder, relation.get("Target", ""))).lstrip("/")
            found[relation.get("Id", "")] = (relation.get("Type", "").rpartition("/")[2], target)
        return found

    def office_title(self) -> str:
        """Find an Office document's own title."""
        if "docProps/core.xml" not in self.names:
            return ""
        titles = (each for each in self.xml("docProps/core.xml").iter() if local_name(each) == "title")
        return next((each.text or "" for each in titles), "")


def parse_xml(data: bytes, what: str) -> Element:
    """Parse XML, in which entities are refused: they make a few bytes into gigabytes.

    Raises:
        InvalidField: It is not well-formed, or declares entities (FILE_BROKEN).
    """
    try:
        root: Element = fromstring(data)
    except (ParseError, DefusedXmlException, ValueError, LookupError, RecursionError) as error:
        raise broken(what) from error
    return root


def shown_in(parent: Element) -> Iterator[Element]:
    """Give all elements in one, in their order, without what stands there once more for old readers (`mc:Fallback`)."""
    waiting = [*reversed(parent)]
    while waiting:
        element = waiting.pop()
        if local_name(element) != "Fallback":
            yield element
            waiting.extend(reversed(element))


def local_name(element: Element) -> str:
    """Give an element's name without its namespace."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
