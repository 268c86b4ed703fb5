"""What a file is by its content: JSON, JSON Lines or YAML, within limits."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import msgspec

from convtest.cassettes.naming import Names
from convtest.cassettes.reading import Refused, read
from convtest.errors import ConvtestError
from convtest.importing.conversation import shown
from convtest.structs import Struct, field, replace


class NotImportable(ConvtestError, page="import#formats"):
    """A file that cannot be imported: what was seen, and what to do."""

    def __init__(self, file: str, what: str, help: str = "") -> None:
        super().__init__(f"{file}: {what}" + (f"\n    {help}" if help else ""))


_GZIP = b"\x1f\x8b"


class Content(Struct, frozen=True, kw_only=True):
    """The data in a file."""

    kind: Literal["JSON", "JSON Lines", "YAML"]
    data: Any = None
    lines: tuple[tuple[int, Any], ...] = ()
    """Of JSON Lines: the number of each line, and its data."""
    problems: tuple[str, ...] = field(default=())
    """Lines that could not be read."""

    @property
    def rows(self) -> tuple[tuple[int, Any], ...]:
        """What stands in it one after the other, each with its number: lines, or the entries of a list."""
        if self.kind == "JSON Lines":
            return self.lines
        return tuple(enumerate(self.data, 1)) if isinstance(self.data, list) else ((1, self.data),)

    def without_secrets(self, names: Names) -> "Content":
        """With every text in it scrubbed."""
        lines = tuple((number, names.value(data)) for number, data in self.lines)
        return replace(self, data=names.value(self.data), lines=lines)

    @property
    def word(self) -> str:
        """What its rows are called."""
        return "line" if self.kind == "JSON Lines" else "entry"

    def __str__(self) -> str:
        if self.kind == "JSON Lines":
            return f"{len(self.lines)} lines of JSON, the first {_seen(self.lines[0][1])}"
        return f"{self.kind}, {_seen(self.data)}"


def content_of(path: Path, file: str, most: int) -> Content:
    """Raises NotImportable for what is none of these, or has more than `most` bytes; `file` is how messages name it."""
    try:
        size = path.stat().st_size
        if size > most:
            help = "split it, or raise cassette in [tool.convtest.limits]"
            raise NotImportable(file, f"it has {size:,} bytes, more than {most:,}", help)
        data = path.read_bytes()
    except OSError as error:
        raise NotImportable(file, f"cannot be read: {error.strerror}") from None
    if data[:2] == _GZIP:
        return _yaml(data, "(packed with gzip)", file)
    data = data.removeprefix(b"\xef\xbb\xbf")
    if not data.strip():
        raise NotImportable(file, "the file is empty")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise NotImportable(file, f"it is no text: byte 0x{data[error.start]:02x} in line {line} is no UTF-8") from None
    if "\0" in text:
        raise NotImportable(file, "it is no text: it holds NUL bytes")
    return _read(data, text, file)


def _read(data: bytes, text: str, file: str) -> Content:
    begins = text.lstrip()[:1]
    if begins not in {"{", "["}:
        return _yaml(data, text, file)
    try:
        return Content(kind="JSON", data=msgspec.json.decode(data))
    except RecursionError:
        raise NotImportable(file, "its JSON is nested too deep") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        whole = str(error)
    lines, problems = _lines(text.split("\n"))
    if lines and len(lines) + len(problems) > 1:
        return Content(kind="JSON Lines", lines=tuple(lines), problems=tuple(problems))
    if begins == "{" and "\n" in text.strip():
        # Flow style begins so, too: a cassette that somebody edited.
        try:
            return _yaml(data, text, file)
        except NotImportable:
            pass
    raise NotImportable(file, f"it begins like JSON and is none: {whole}: was it cut off?")


def _lines(lines: Iterable[str]) -> tuple[list[tuple[int, Any]], list[str]]:
    found: list[tuple[int, Any]] = []
    problems: list[str] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found.append((number, msgspec.json.decode(line)))
        except RecursionError:
            problems.append(f"line {number} is nested too deep")
        except (msgspec.DecodeError, UnicodeError):
            problems.append(f"line {number} is no JSON: it was cut off, or is no line of this file")
    return found, problems


def _yaml(data: bytes, text: str, file: str) -> Content:
    begins = f"it begins with '{shown(text.lstrip(), 40)}'"
    try:
        found = read(data)
    except Refused as error:
        raise NotImportable(f"{file}:{error.line}", f"{error}; {begins}") from None
    except Exception as error:
        if type(error).__module__.split(".")[0] != "yaml":
            raise
        raise NotImportable(file, f"it is no JSON and no YAML; {begins}") from None
    if not isinstance(found, dict | list):
        raise NotImportable(file, f"it is a text and no data; {begins}")
    return Content(kind="YAML", data=found)


def _seen(data: Any) -> str:
    match data:
        case dict():
            keys = ", ".join(shown(key, 30) for key in list(data)[:8])
            return f"an object with the keys {keys}{' …' if len(data) > 8 else ''}" if data else "an empty object"
        case list():
            return f"a list of {len(data)}, the first {_seen(data[0])}" if data else "an empty list"
        case str():
            return f"the text '{shown(data, 40)}'"
        case _:
            return f"the value {shown(data, 40)}"
