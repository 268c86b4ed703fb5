"""How a client opens, resumes, forks, clears and names its sessions."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from convtest.clients.port import Opening
from convtest.mutate import moments
from convtest.mutate.mutator import Known, Mutator


async def _nothing(method: Any, known: Known, *given: Any) -> None:
    """The method is not called."""


async def _but_first(method: Any, known: Known, given: Any) -> None:
    await method(list(given)[1:])


async def _but_last(method: Any, known: Known, given: Any) -> None:
    await method(list(given)[:-1])


async def _texts_alone(method: Any, known: Known, given: Any) -> None:
    await method([{**one, "content": [{"type": "text", "text": "…"}]} for one in given])


def _opens(change: Callable[[Opening, Known], dict[str, Any]]) -> Callable[[Opening, Known], Opening]:
    def opens(opening: Opening, known: Known) -> Opening:
        changes = change(opening, known)
        return replace(opening, **changes) if changes else opening

    return opens


def _fresh_for_unknown(opening: Opening, known: Known) -> dict[str, Any]:
    return {"resume": None} if opening.resume is not None and not opening.fork else {}


def _one(name: str, bug: str, **edits: Any) -> Mutator:
    return Mutator(name=name, kind="sessions", bug=bug, **edits)


LIVES = (
    _one("clears nothing", "the method of the page is called", does={"clear_history": _nothing}),
    _one("loads nothing", "load_history returns before it has loaded", does={"load_history": _nothing}),
    _one("loads all but the first message", "an index from 1", does={"load_history": _but_first}),
    _one("loads all but the last message", "a range without its end", does={"load_history": _but_last}),
    _one(
        "loads messages without their words", "a history is read by another schema", does={"load_history": _texts_alone}
    ),
    _one("deletes nothing", "a flag is set that nobody reads", does={"delete": _nothing}),
    _one("sets nothing", "options are copied when a session opens", does={"set": _nothing}),
    _one("resumes as a fresh session", "an id that is not found is made", opens=_opens(_fresh_for_unknown)),
    _one(
        "forks as a fresh session",
        "a fork is a new session with the old one's name",
        opens=_opens(lambda o, k: {"resume": None, "fork": False} if o.fork else {}),
    ),
    _one(
        "forks at the end",
        "the turn to fork at is not passed on",
        opens=_opens(lambda o, k: {"fork_at": None} if o.fork_at is not None else {}),
    ),
    _one(
        "forks a turn too late",
        "turns are counted from 0 here, from 1 there",
        opens=_opens(lambda o, k: {"fork_at": o.fork_at + 1} if o.fork_at is not None else {}),
    ),
    _one(
        "forks a turn too early",
        "turns are counted from 1 here, from 0 there",
        opens=_opens(lambda o, k: {"fork_at": o.fork_at - 1} if o.fork_at is not None else {}),
    ),
    _one(
        "forks in place",
        "a fork goes on under the old id",
        opens=_opens(lambda o, k: {"fork": False} if o.fork else {}),
    ),
    _one(
        "resumes as a fork",
        "a resume copies the session",
        opens=_opens(lambda o, k: {"fork": True} if o.resume and not o.fork else {}),
    ),
    _one(
        "continues nothing",
        "the latest session is looked for in another folder",
        opens=_opens(lambda o, k: {"continue_": False} if o.continue_ else {}),
    ),
    _one(
        "loses the options of a resumed session",
        "options are not stored with a session",
        opens=_opens(
            lambda o, k: {"options": {"model": o.options["model"]}} if o.resume and len(o.options) > 1 else {}
        ),
    ),
    _one(
        "loses the options of every session",
        "options are read under another key",
        opens=_opens(lambda o, k: {"options": {"model": o.options["model"]}} if len(o.options) > 1 else {}),
    ),
    _one("takes a new id in every turn", "an id for each request", id=lambda id, k: f"{id}-{k.turn}"),
    _one(
        "takes a new id on a resume",
        "an id for each process",
        id=lambda id, k: f"{id}-{k.opened}" if k.way == "resumed" else id,
    ),
    _one(
        "keeps its origin's id in a fork",
        "a fork reports the id that it was asked for",
        when=moments.forked,
        id=lambda id, k: k.others[k.origin].first_id if k.origin in k.others else id,
    ),
    _one(
        "takes a new id after an interrupt",
        "an interrupt ends the session",
        id=lambda id, k: f"{id}-cut" if k.cut else id,
    ),
    _one("has no id", "an id that comes with the first answer is not kept", id=lambda id, k: None),
    _one(
        "keeps its id when it is cleared",
        "the same session, emptied",
        when=moments.cleared,
        id=lambda id, k: k.first_id,
    ),
)
