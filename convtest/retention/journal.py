"""What a run of retention has finished, on disk at once: after a kill only what was in flight is played again."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from convtest.errors import RetentionError
from convtest.retention.baseline import Origin, Run, run_of
from convtest.retention.probes import Probe, Trunk
from convtest.structs import Struct

SCHEMA = 1

Key = tuple[str, str, int, int]
"""A trunk's id, row, seed and repeat."""


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """One trunk that was played to its end, with what it was made of."""

    trunk: Trunk
    probes: tuple[Probe, ...]
    client: str
    mode: Literal["simulated", "live"]
    scenario: str
    """Its id."""
    digest: str
    """Of the scenario."""
    policy: dict[str, str]
    settings: str
    schema: int = SCHEMA

    @property
    def key(self) -> Key:
        return self.trunk.id, self.trunk.row, self.trunk.seed, self.trunk.repeat


class _Version(msgspec.Struct):
    schema: int


class Journal(Struct, frozen=True):
    """A file of JSON lines, one for each finished trunk; several processes may write it."""

    path: Path

    @property
    def ledger(self) -> Path:
        """Where the cost of each request is noted, of those too whose trunk was not finished."""
        return self.path.with_suffix(".usd")

    def add(self, finished: Finished) -> None:
        """On disk when this returns. It is written at once: lines of several processes do not mix."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            # What a kill has cut off ends here, and spoils no other line.
            os.write(handle, b"\n" + msgspec.json.encode(finished) + b"\n")
            os.fsync(handle)
        finally:
            os.close(handle)

    def finished(self) -> dict[Key, Finished]:
        """All that stands in it; a line that was cut off counts for nothing. Raises RetentionError for what is none."""
        if not self.path.is_file():
            return {}
        found: dict[Key, Finished] = {}
        for line in filter(bytes.strip, self.path.read_bytes().split(b"\n")):
            try:
                version = msgspec.json.decode(line, type=_Version).schema
                if version != SCHEMA:
                    what = f"{self.path}: a journal of version {version}, and this convtest writes version {SCHEMA}"
                    raise RetentionError(what, help="begin anew: remove the file")
                one = msgspec.json.decode(line, type=Finished)
            except msgspec.ValidationError as error:
                raise RetentionError(f"{self.path}: this is no journal: {error}", help="name another file") from None
            except msgspec.DecodeError:
                continue
            found[one.key] = one
        return found

    def run(self, convtest: str) -> Run | None:
        """All of it as one run, None where nothing has finished. Raises RetentionError where it is of several."""
        every = list(self.finished().values())
        if not every:
            return None
        first = every[0]
        by_scenario: dict[str, Finished] = {}
        for one in every:
            known = by_scenario.setdefault(one.scenario, one)
            if (wrong := _differs(first, one) or _differs(known, one)) is not None:
                what = f"{self.path}: its trunks are not of one run: {wrong}"
                raise RetentionError(what, help="what was changed in between? begin anew: remove the file")
        origin = Origin(
            client=first.client,
            mode=first.mode,
            convtest=convtest,
            models=tuple(sorted({one.trunk.model for one in every if one.trunk.model})),
            scenarios=dict(sorted((one.scenario, one.digest) for one in every)),
            policy=first.policy,
            settings=_together({one.scenario: one.settings for one in every}),
        )
        return run_of(origin, _all_probes(every), [one.trunk for one in every])


def _all_probes(every: Sequence[Finished]) -> list[Probe]:
    return [probe for one in every for probe in one.probes]


def _differs(first: Finished, other: Finished) -> str | None:
    for what in ("client", "mode", "policy"):
        if getattr(first, what) != getattr(other, what):
            return f"another {what} in {other.trunk.id}"
    for what in ("digest", "settings"):
        if first.scenario == other.scenario and getattr(first, what) != getattr(other, what):
            return f"the {'scenario' if what == 'digest' else 'settings of'} {first.scenario!r} changed"
    return None


def _together(settings: Mapping[str, str]) -> str:
    return hashlib.sha256(msgspec.json.encode(settings, order="sorted")).hexdigest()[:16]
