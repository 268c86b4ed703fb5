"""A run of retention as a file: counts and letters, never rates, so that any later statistic can be made of it."""

import contextlib
import os
import tempfile
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Literal

import msgspec

from convtest.errors import RetentionError
from convtest.retention.probes import LETTERS, WIRE, Letter, Probe, Trunk, Wire

SCHEMA = 1
_SILENT: Letter = "N"
_UNSEEN: Wire = "-"


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One probe, in all repeats: a letter each, in their order."""

    id: str
    trunk: str
    row: str
    seed: int
    family: str
    slot: str
    session: str
    told_at: int
    after: int
    disturb: str
    outcomes: str
    wire: str
    broken: tuple[int, ...] = ()
    """The repeats in which the wire was not as it must be."""
    reply_layer: str = ""
    leaked: str = ""
    """The session whose value was named."""

    @property
    def template(self) -> tuple[str, str, int]:
        """What it shares with the probes that are asked in the same conversations."""
        return self.trunk, self.row, self.seed


class Conversation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One trunk in one repeat."""

    id: str
    row: str
    seed: int
    repeat: int
    disturb: str
    prompt_tokens: tuple[int, ...]
    """By turn."""
    disturbed: tuple[int, ...] = ()
    broken: str = ""
    """What is wrong in it, its questions aside."""


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """What a run was made of. Runs of other scenarios, policies and seeds cannot be compared."""

    client: str
    mode: Literal["simulated", "live"]
    convtest: str
    """Its version."""
    models: tuple[str, ...]
    """As the answers reported them."""
    scenarios: dict[str, str]
    """Digests by id."""
    policy: dict[str, str]
    settings: str
    """The digest of what is sent beside the conversation: system prompt, tools, sampling."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What a file holds; `--save` and `--against` of `convtest retention`."""

    origin: Origin
    repeats: int
    probes: tuple[Line, ...]
    conversations: tuple[Conversation, ...]
    schema: int = SCHEMA

    @property
    def torn(self) -> dict[str, list[Conversation]]:
        """By disturbance: the conversations in which something is wrong, their questions aside."""
        broken = [one for one in self.conversations if one.broken]
        return {name: [one for one in broken if one.disturb == name] for name in sorted({b.disturb for b in broken})}

    @property
    def seeds(self) -> list[int]:
        return sorted({one.seed for one in self.probes} | {one.seed for one in self.conversations})


class _Version(msgspec.Struct):
    schema: int


def run_of(origin: Origin, probes: Iterable[Probe], trunks: Iterable[Trunk]) -> Run:
    """Whatever the order in which they were played. A probe that is missing from a repeat had no reply in it."""
    every = sorted(probes, key=lambda one: (one.trunk, one.row, one.seed, one.id, one.repeat))
    repeats = max((one.repeat for one in every), default=0)
    groups = groupby(every, key=lambda one: (one.trunk, one.row, one.seed, one.id))
    lines = tuple(_line(list(group), repeats) for _, group in groups)
    conversations = [
        Conversation(
            id=one.id, row=one.row, seed=one.seed, repeat=one.repeat, disturb=one.disturb,
            prompt_tokens=one.prompt_tokens, disturbed=one.disturbed, broken=one.broken,
        )
        for one in sorted(trunks, key=lambda one: (one.id, one.row, one.seed, one.repeat))
    ]  # fmt: skip
    return Run(origin=origin, repeats=repeats, probes=lines, conversations=tuple(conversations))


def _line(group: Sequence[Probe], repeats: int) -> Line:
    first, by_repeat = group[0], {one.repeat: one for one in group}
    outcomes = [by_repeat[at].outcome if at in by_repeat else _SILENT for at in range(1, repeats + 1)]
    wire = [by_repeat[at].wire if at in by_repeat else _UNSEEN for at in range(1, repeats + 1)]
    return Line(
        id=first.id, trunk=first.trunk, row=first.row, seed=first.seed, family=first.family, slot=first.slot,
        session=first.session, told_at=first.told_at, after=first.after, disturb=first.disturb,
        outcomes="".join(outcomes), wire="".join(wire),
        broken=tuple(one.repeat for one in group if not one.intact), reply_layer=first.reply_layer,
        leaked=next((one.leaked for one in group if one.leaked), ""),
    )  # fmt: skip


def text_of(run: Run) -> str:
    """Sorted JSON with one line for each probe and each conversation: what changed is a line of a diff."""
    plain = msgspec.to_builtins(run)
    parts = []
    for key in sorted(plain):
        value = plain[key]
        if isinstance(value, list | tuple):
            value = "[" + ",".join("\n" + _json(one) for one in value) + "\n]"
        else:
            value = _json(value)
        parts.append(f'"{key}": {value}')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _json(value: object) -> str:
    return msgspec.json.encode(value, order="sorted").decode()


def save(path: Path, run: Run) -> None:
    """At once (fsync, then rename): whoever reads sees the old file or the new one, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text_of(run))
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def load(path: Path) -> Run:
    """Raises RetentionError where it is no baseline, or one that was cut off or of another version."""
    anew = "restore it from version control, or make it anew: convtest retention --save"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RetentionError(f"{path}: {error.strerror or error}", help=anew) from None
    try:
        version = msgspec.json.decode(data, type=_Version).schema
        if version != SCHEMA:
            what = f"{path}: a baseline of version {version}, and this convtest reads version {SCHEMA}"
            raise RetentionError(what, help="make it anew: convtest retention --save")
        run = msgspec.json.decode(data, type=Run)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        cut = "truncated" in str(error)
        what = f"{path}: this baseline is cut off" if cut else f"{path}: this is no baseline: {error}"
        raise RetentionError(what, help=anew) from None
    if (wrong := _wrong(run)) is not None:
        raise RetentionError(f"{path}: this is no baseline: {wrong}", help=anew)
    return run


def _wrong(run: Run) -> str | None:
    """What no run could have written."""
    letters, seen = set(LETTERS.values()), set()
    for one in run.probes:
        if not len(one.outcomes) == len(one.wire) == run.repeats:
            return f"{one.id} has {len(one.outcomes)} outcomes and {len(one.wire)} wires for {run.repeats} repeats"
        if unknown := (set(one.outcomes) - letters) | (set(one.wire) - set(WIRE)):
            return f"{one.id} has the letter {min(unknown)!r}"
        if any(not 1 <= at <= run.repeats for at in one.broken):
            return f"{one.id} has a broken wire in a repeat that is none"
        if (key := (one.template, one.id)) in seen:
            return f"{one.id} stands in it twice"
        seen.add(key)
    return None
