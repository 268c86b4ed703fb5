"""Every exception of convtest. Errors mean that the set-up was wrong; failures are values, not exceptions.

docs/errors.md lists them with their texts; `scripts/pages` makes it. Each class names the page that tells more.
"""

import errno
import traceback
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from convtest.structs import Struct


class Place(Struct, frozen=True, order=True):
    """A position in a file; lines and columns count from 1, 0 means the whole file."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        parts = [self.file, *(str(n) for n in (self.line, self.column) if n)]
        return ":".join(parts)

    @property
    def line_only(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


class Problem(Struct, frozen=True):
    """One thing that is wrong in a scenario file, where it is, and the one thing to do."""

    what: str
    place: Place
    help: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.what}" + (f"\n    {self.help}" if self.help else "")


def nearest(wrong: str, known: Iterable[str]) -> str | None:
    """The one of what is known that was probably meant."""
    import difflib

    lowered = {choice.lower(): choice for choice in sorted(known)}
    close = difflib.get_close_matches(wrong.lower(), list(lowered), n=1, cutoff=0.6)
    return lowered[close[0]] if close else None


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """`did you mean 'x'?`, or the list of what is known, or nothing if nothing is."""
    choices = sorted(known)
    if meant := nearest(wrong, choices):
        return f"did you mean {meant!r}?"
    return f"known: {', '.join(choices)}" if choices else ""


def is_library(file: str) -> bool:
    """Whether code in this file is not the user's."""
    return file.startswith(_libraries())


@cache
def _libraries() -> tuple[str, ...]:
    import sysconfig

    installed = (sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))
    return *installed, str(Path(__file__).parent), "<frozen"


def raised_at(error: BaseException) -> str:
    """`agent.py:12, in query`: the innermost place in a user's own code, else the innermost of all."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return ""
    ours = [frame for frame in frames if not is_library(frame.filename)]
    frame = (ours or frames)[-1]
    return f"{Path(frame.filename).name}:{frame.lineno}, in {frame.name}"


def told(text: str, page: str) -> str:
    """An error's text as people read it: the page that tells more, by an address for `convtest docs` and the site."""
    return f"{text}\n    more: convtest docs {page}"


class ConvtestError(Exception):
    """Anything that stops a conversation from being tested; pytest shows it as ERROR, the CLI exits 2."""

    page: str = "errors"
    """The page of the documentation, or a section of one, that tells more."""

    def __init_subclass__(cls, *, page: str = "", **more: object) -> None:
        super().__init_subclass__(**more)
        cls.page = page or cls.page

    @property
    def told(self) -> str:
        return told(str(self), self.page)


class ScenarioError(ConvtestError, page="scenarios"):
    """A scenario file is wrong; `problems` holds everything found, in the order of the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class ConfigError(ConvtestError, page="clients#the-configuration"):
    """`[tool.convtest]` is wrong, or an option or a fixture that stands over it."""

    def __init__(self, what: str, *, where: str, help: str = "") -> None:
        beside = where.startswith(("--", "convtest ", "the fixture "))
        place = where if beside else f"pyproject.toml, {where}"
        self.page = "options" if beside else self.page
        super().__init__(f"{what} — {place}" + (f"\n    {help}" if help else ""))


class ClientError(ConvtestError, page="clients"):
    """A session client cannot be made."""

    def __init__(self, what: str, *, client: str, help: str = "") -> None:
        self.head, self.advice = f"{what} — client {client!r}", f"\n    {help}" if help else ""
        super().__init__(self.head + self.advice)


class MissingCapability(ClientError, page="clients#your-own-client"):
    """A step needs something that the client does not offer."""

    def __init__(self, *, client: str, capability: str, place: Place) -> None:
        self.capability = capability
        super().__init__(
            f"{place}: this step needs {capability}(), which the client does not have",
            client=client,
            help=f"add {capability}() to the client, or run the scenario with one that has it",
        )


class CassetteError(ConvtestError, page="cassettes"):
    """A cassette cannot be used."""


class NoCassette(CassetteError, page="cassettes#what-plain-pytest-plays"):
    """Nothing is recorded and the upstream is a real model."""

    def __init__(self, *, cassette: Path | str, command: str, partial: str = "") -> None:
        resume = command.replace("convtest record", "convtest record --resume", 1)
        more = f"\n    a recording broke off at {partial}; go on with it: {resume}" if partial else ""
        super().__init__(f"no cassette — {cassette}\n    record it: {command}{more}")


class NothingToSweep(CassetteError, page="sweeps#how-points-are-counted"):
    """A sweep has no points, or nobody knows them."""

    def __init__(self, why: str, *, place: Place, command: str = "") -> None:
        help = f"\n    record the base first: {command}" if command else ""
        super().__init__(f"{place.line_only}: {why}{help}")


class RecordedElsewhere(CassetteError, page="cassettes#recording"):
    """Two writers on one cassette: the second is refused. `over`: the first has finished meanwhile."""

    def __init__(self, *, cassette: Path | str, over: bool = False) -> None:
        what = "has recorded this cassette meanwhile" if over else "is recording this cassette"
        help = "run this again" if over else "wait for it, or end it"
        super().__init__(f"another process {what} — {cassette}\n    {help}")


class NothingCaptured(CassetteError, page="network#while-an-item-records"):
    """What was to be recorded connected to somebody, and convtest saw no request."""

    def __init__(self, *, item: str, opened: Sequence[object], help: str) -> None:
        counted = Counter(str(one) for one in opened)
        shown = [one if count == 1 else f"{one} ({count} times)" for one, count in counted.items()][:5]
        super().__init__(f"nothing was recorded of {item}, and it opened connections: {'; '.join(shown)}\n    {help}")


class SpendingLimit(CassetteError, page="cassettes#recording"):
    """Recording has cost what it may cost."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}\n    what is kept goes on: convtest record --resume, or the same convtest retention")


class UnreadableCassette(CassetteError, page="cassettes#what-others-recorded"):
    """The file is there and is not a cassette; it is never taken for an empty one."""

    def __init__(self, what: str, *, place: Place, command: str = "") -> None:
        help = f"\n    restore it from version control, or record again: {command}" if command else ""
        super().__init__(f"unreadable cassette — {place}\n    {what}{help}")


class MissingDecoder(CassetteError):
    """A body is encoded in a way that the packages which are installed cannot undo."""

    def __init__(self, encoding: str) -> None:
        super().__init__(
            f"a body is encoded as {encoding}\n    install what reads it: pip install 'convtest[encodings]'"
        )


class UnwritableCassette(CassetteError, page="cassettes#recording"):
    """What was recorded cannot be put on disk; what stood there stays as it was."""

    def __init__(self, error: OSError, *, cassette: Path | str) -> None:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
        help = (
            "make room; what was recorded before is kept: go on with convtest record --resume"
            if full
            else "remove the folder that stands there, or name the cassette differently"
            if error.errno == errno.EISDIR
            else "make its folder one that can be written"
        )
        super().__init__(f"cannot write the recording — {cassette}: {error.strerror or error}\n    {help}")


class ScenarioChanged(CassetteError, page="cassettes#matching"):
    """A request was not recorded because the scenario now asks for something else."""

    def __init__(self, *, cassette: Path | str, detail: str, command: str) -> None:
        super().__init__(
            f"the scenario changed since it was recorded — {cassette}\n{detail}\n    record it again: {command}"
        )


class RecordingEnds(CassetteError):
    """This run goes on where the recording was cut."""

    def __init__(self, *, detail: str, command: str) -> None:
        super().__init__(f"{detail}\n    record again: {command}")


class ResultsError(ConvtestError, page="results"):
    """A file of results cannot be read."""

    def __init__(self, what: str, *, where: str) -> None:
        super().__init__(f"{what} — {where}\n    write it again: pytest --convtest-results=FILE")


class RetentionError(ConvtestError, page="retention-baseline"):
    """A run of retention cannot be judged, or not against this baseline."""

    def __init__(self, what: str, *, help: str = "") -> None:
        super().__init__(what + (f"\n    {help}" if help else ""))


class ReviewError(ConvtestError, page="review"):
    """What changed cannot be found, or not be decided."""

    def __init__(self, what: str, *, help: str = "") -> None:
        super().__init__(what + (f"\n    {help}" if help else ""))


class NetworkBlocked(ConvtestError, OSError, page="network"):
    """Raised at a connection that would leave this machine while an item replays or simulates."""

    def __init__(self, *, host: str, item: str, advice: str, late: str = "") -> None:
        """`late`: who it was, where it was not the item that plays."""
        self.host, self.advice = host, advice
        when = f" while {item} replays or simulates" if item else " when no item played"
        what = f"{late or item} tried to reach {host!r}" + (when if late else " while it replays or simulates")
        super().__init__(f"network blocked: {what}\n    {advice}")


class CheckError(ConvtestError, page="checks"):
    """A user's own check could not be found or raised something other than AssertionError."""

    def __init__(self, what: str, *, place: Place) -> None:
        super().__init__(f"{place}: {what}")


class TooLarge(ConvtestError, page="limits#size"):
    """More bytes than a limit allows."""

    def __init__(self, what: str, *, limit: str) -> None:
        super().__init__(f"{what}\n    if that is meant, raise the limit: {limit}")


class OutOfTime(ConvtestError, page="limits#time"):
    """Work of ours, or of a user's own check, that was ended at its time limit; playing has a finding for that."""

    def __init__(self, what: str, seconds: float, at: str, help: str) -> None:
        super().__init__(f"{what} took more than {seconds:g} s" + (f", at {at}" if at else "") + f"\n    {help}")


class ConversationFailed(Exception):
    """The conversation did not hold together; the text is the report, `headline` its one line."""

    def __init__(self, report: str, *, headline: str) -> None:
        self.headline = headline
        super().__init__(report)


def unwrapped(error: BaseException) -> BaseException:
    """The exception itself where task groups have wrapped it alone."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
