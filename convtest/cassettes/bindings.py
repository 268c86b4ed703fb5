"""Which value of this run a placeholder of the recording stands for: one to one, through the whole item."""

import dataclasses
from collections.abc import Mapping, Sequence

from convtest.cassettes.bodies import rewritten
from convtest.structs import replace
from convtest.wire.interaction import Chunk, Interaction
from convtest.wire.marks import ID, Mark, Placeholders, may_hold_placeholders, placeholders_in, replaced

Pairs = list[tuple[Mark, Mark]]


class Bindings:
    """With `renames` the placeholders of another recording are bound as values are."""

    def __init__(self, *, renames: bool = False) -> None:
        self._renames = renames
        self._value: dict[Mark, str] = {}
        self._mark: dict[Mark, Mark] = {}
        self._any: dict[str, set[str]] = {}

    def stands_for(self, kind: str, value: str) -> None:
        """The placeholder without a number stands for this value."""
        self._any.setdefault(kind, set()).add(value)

    def fits(self, recorded: Sequence[Mark], sent: Sequence[Mark]) -> Pairs | None:
        """What would be bound if this request were answered by that recorded one; None where two values would become
        one, or one two. Both have the same key."""
        new: Pairs = []
        values, marks = dict(self._value), dict(self._mark)
        for old, now in zip(recorded, sent, strict=True):
            if old.is_any or (old == now and old.is_placeholder and not self._renames):
                continue
            if old == now and old in values and old.kind != ID and not self._renames:
                continue  # it came in a recorded answer, as it stood there
            unlike = values.get(old, now.token) != now.token or marks.get(now, old) != old
            if unlike or (now.is_placeholder and not self._renames):
                return None
            if old not in values:
                values[old], marks[now] = now.token, old
                new.append((old, now))
        return new

    def binds(self, recorded: Sequence[Mark], sent: Sequence[Mark]) -> bool:
        """Whether the secrets of a request with the same key may be those that were recorded; from now on they are."""
        pairs = self.fits(recorded, sent)
        for old, now in pairs or ():
            self._value[old], self._mark[now] = now.token, old
        for old, now in zip(recorded, sent, strict=True) if pairs is not None else ():
            if old.is_any and not now.is_placeholder:
                self.stands_for(old.kind, now.token)
        return pairs is not None

    @property
    def taken(self) -> Mapping[Mark, str]:
        """The placeholder of each value that is bound."""
        return {now: old.token for now, old in self._mark.items() if old.is_placeholder}

    def value(self, mark: Mark) -> str:
        """What stood there, in this run's words; the placeholder itself where no value is bound to it, or several."""
        if mark.is_any:
            known = self._any.get(mark.kind, set())
            return next(iter(known)) if len(known) == 1 else mark.token
        return self._value.get(mark, mark.token)

    def asked(self, recorded: Interaction) -> Interaction:
        """A recorded interaction as it would be asked in this run's words."""
        request = recorded.request
        (body,) = self.restored([Chunk(0.0, request.body)]) or [Chunk(0.0, b"")]
        url = replaced(request.url, placeholders_in(request.url), self.value)
        found = dataclasses.replace(recorded, request=dataclasses.replace(request, url=url, body=body.data))
        sent = recorded.canonical
        ids = tuple(replace(one, token=self._value.get(one, one.token)) for one in sent.ids)
        found.canonical = dataclasses.replace(found.canonical, ids=ids)
        return found

    def restored(self, chunks: Sequence[Chunk]) -> Sequence[Chunk]:
        """An answer's chunks in this run's words."""
        return rewritten(chunks, _LOOKS, self.value) if self._value or self._any else chunks


class _Looks(Placeholders):
    def may_hold(self, text: str) -> bool:
        return may_hold_placeholders(text)


_LOOKS = _Looks()
