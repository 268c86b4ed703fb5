"""What a turn yielded is what its main requests' answers held, up to where reading stopped."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, get_args

from convtest.checks.formed import formed
from convtest.checks.habits import fits, without_thoughts
from convtest.checks.result import Finding, at_step
from convtest.checks.shown import other_results, other_thinking, shows_some_results, shows_thinking
from convtest.checks.threads import ends_in_prompt, is_whole
from convtest.textmatch import apart
from convtest.transcript import Transcript, TurnRecord
from convtest.wire.interaction import Interaction
from convtest.wire.messages_api import text_of_content

Rung = Literal["exact", "words", "final", "transformed"]
RUNGS: tuple[Rung, ...] = get_args(Rung)
"""From the strictest on."""
_IN_FLIGHT = 3
"""Events that may be on their way while an interrupt is."""
_PREVIEW = 200
"""Characters of an answer of which nothing was yielded."""


def said(transcript: Transcript) -> Iterator[Finding]:
    """The assistant's text as it was streamed, by the rung that the client's policy names; its tool uses, all of them
    or none in the whole item; and no interrupt that was ignored."""
    shows_uses = any(record.calls for record in transcript.turns())
    thinks, shows_results = shows_thinking(transcript), shows_some_results(transcript)
    for record in transcript.turns():
        if not is_comparable(record):
            continue
        found = difference(record, record.policy.said)
        if found is not None:
            message = "what the session yielded is not what the model was streaming"
            yield _finding(record, message, *found)
        if shows_uses and not record.disturbed and (uses := _other_uses(record)) is not None:
            yield _finding(record, "the session yielded other tool uses than the model asked for", *uses)
        if not record.disturbed and record.policy.said != "transformed":
            found_besides = [other_thinking(record)] if thinks else []
            found_besides += other_results(transcript, record) if shows_results else []
            for one in filter(None, found_besides):
                yield _finding(record, *one)
        if (ignored := _ignored(record)) is not None:
            message = "the interrupt was ignored: the whole answer was yielded, and then said to be interrupted"
            yield _finding(record, message, *ignored)


def _finding(record: TurnRecord, message: str, expected: str, seen: str) -> Finding:
    advice = "pass on every piece as it comes; if the client means to change it, declare said: convtest probe"
    return at_step(record, "said", None, message, expected=expected, seen=seen, advice=advice, key="user")


def _other_uses(record: TurnRecord) -> tuple[str, str] | None:
    """(expected, seen), where they differ; a client may fill in arguments that the model left out."""
    names, answer = {call.name for call in record.calls}, formed(record) or {}
    uses = [
        block
        for one in record.main()
        for block in one.reply().get("content") or []
        if block.get("type") == "tool_use" and block.get("id") != answer.get("id")
    ]
    # A search for tools, a patch, a shell: a client may show them as tools, or not.
    asked = [
        (str(use.get("name")).rpartition("__")[2], use.get("input") or {})
        for use in uses
        if not use.get("made_of") or use.get("name") in names
    ]
    shown = [(call.name.rpartition("__")[2], dict(call.input)) for call in record.calls]
    same = len(asked) == len(shown) and all(
        name == other and fits(wanted, given) for (name, wanted), (other, given) in zip(asked, shown, strict=True)
    )
    if same:
        return None
    return ", ".join(map(_use, asked)) or "no tool use", ", ".join(map(_use, shown)) or "no tool use"


def _use(use: tuple[str, Mapping[str, Any]]) -> str:
    return f"{use[0]}({', '.join(f'{key}={value!r}' for key, value in use[1].items())})"


def _ignored(record: TurnRecord) -> tuple[str, str] | None:
    """(expected, seen), where the client was interrupted with more of the answer to come, and yielded all of it."""
    made = [one for one in record.turn.disturbances if one.do == "interrupt" and one not in record.unreached]
    ended = record.end.ended if record.end is not None else ""
    if not made or ended != "interrupted" or not is_whole(record.main()[-1]) or made[0].after is None:
        return None
    later = len(record.events) - 1 - made[0].after
    whole = _without_blanks(record.text) == _without_blanks("".join(map(_text, record.main())))
    if later < _IN_FLIGHT or not whole:
        return None
    return f"nothing more after {made[0].after} events", f"{later} events more, to the end of the answer"


def is_comparable(record: TurnRecord) -> bool:
    """Whether the answers that the turn's text comes from are known, and none of them was asked for again."""
    main = record.main()
    if record.wire != "history" or record.unsure or not main or not record.interactions or record.crash:
        return False
    if record.end is None or any(not 200 <= one.status < 300 or one.missed for one in main):
        return False
    # What broke off and was asked for again is for whole_answer and the policy restarted_text.
    return all(is_whole(one) for one in main[:-1]) and (is_whole(main[-1]) or record.disturbed)


def rung_of(records: Sequence[TurnRecord]) -> Rung:
    """The strictest that all of these turns fit; `transformed` where none does."""
    return next((rung for rung in RUNGS if all(difference(record, rung) is None for record in records)), RUNGS[-1])


def difference(record: TurnRecord, rung: Rung) -> tuple[str, str] | None:
    """(expected, seen) around the first difference; None where there is none."""
    answers = [_text(one) for one in record.main()]
    if rung == "transformed":
        return (repr(answers[-1][:_PREVIEW]), "no text at all") if _is_silent(record, answers[-1]) else None
    if formed(record) is not None:
        return None
    streamed = answers[-1] if rung == "final" else "".join(answers)
    form: Callable[[str], str] = (lambda text: text) if rung == "exact" else _without_blanks
    wanted, yielded = form(streamed), form(record.text)
    if _is_part(yielded, wanted, record) or _is_part(yielded, form("".join(_with_blank(record))), record):
        return None
    return apart(wanted, yielded)


def _with_blank(record: TurnRecord) -> Iterator[str]:
    """Also the answers of blanks alone that a client showed before it asked on for one that can be seen, as Claude Code
    does: the request that it goes on with does not hold them."""
    main, prompt = record.main(), record.turn.prompt
    for one in record.interactions:
        blank = is_whole(one) and not _text(one).strip() and ends_in_prompt(one.canonical, prompt)
        if one in main or (blank and one.number < main[-1].number):
            yield _text(one)


def _is_silent(record: TurnRecord, answer: str) -> bool:
    """However text is changed, something is said where the last answer says something. A guard that withholds the
    answer ends the turn otherwise."""
    ended = record.end.ended if record.end is not None else ""
    says = any(sign.isalnum() for sign in without_thoughts(answer))
    return ended in {"complete", "max_tokens"} and not record.disturbed and says and not record.text.strip()


def _is_part(yielded: str, wanted: str, record: TurnRecord) -> bool:
    if not record.disturbed:
        return yielded == wanted
    # It was cut: what was yielded by then is a beginning of what was streamed.
    return wanted.startswith(yielded)


def _text(one: Interaction) -> str:
    return text_of_content(one.reply().get("content"))


def _without_blanks(text: str) -> str:
    return "".join(text.split())
