"""Each prompt stands exactly once in the history, in order."""

from collections import Counter
from collections.abc import Iterator

from convtest.checks.cutting import is_bound
from convtest.checks.framing import found_prompts, place_of
from convtest.checks.histories import Seen, follow
from convtest.checks.result import Finding, at_step
from convtest.checks.states import Prompt
from convtest.transcript import Transcript, TurnRecord
from convtest.wire.blocks import collapsed, request_blocks
from convtest.wire.canonical import Canonical, message_texts


def prompts_once(transcript: Transcript) -> Iterator[Finding]:
    """Each prompt stands exactly once in the history, in order."""
    yield from _never_sent(transcript)
    for seen in follow(transcript):
        if not seen.is_first or seen.record.policy.memory != "messages":
            continue
        problem = _prompt_problem(seen.before.prompts, seen.sent) or _other_frame(transcript, seen)
        if problem:
            message, expected, found = problem
            bound = "earlier prompt is gone" in message and any(map(is_bound, transcript.heard(seen.record)))
            advice = _BY_POLICY if bound else ""
            yield at_step(
                seen.record, "prompts_once", "wire", message, expected=expected, seen=found, advice=advice, key="user"
            )


_BY_POLICY = (
    'the client\'s policy says interrupted_prompt = "kept" (before the request early_interrupt = "kept", after a kill '
    'killed_prompt = "kept"); if it means to drop '
    "the prompt of a turn that was cut short, declare that: convtest probe"
)


def _is_never_sent(transcript: Transcript, record: TurnRecord) -> bool:
    """A turn that was answered without any request, by a client whose requests are seen in other turns."""
    if record.wire != "history" or record.disturbed or not record.text.strip() or record.error or record.hung:
        return False
    if record.interactions or record.borrowed or record.policy.may_be_unsent(record.turn.prompt):
        return False
    if any(one.lane is None and not one.adopted for one in transcript.interactions):
        return False
    return record.policy.memory == "messages" and any(
        turn.interactions for turn in transcript.turns() if turn.client == record.client
    )


def _never_sent(transcript: Transcript) -> Iterator[Finding]:
    for record in transcript.turns():
        if _is_never_sent(transcript, record):
            yield at_step(
                record,
                "prompts_once",
                "wire",
                "the turn was answered, and its prompt was never sent",
                expected="a request that ends in the prompt",
                seen="no request",
                advice='if the client answers it by itself on purpose: policy = {unsent = ["how the prompt begins"]}',
                key="user",
            )


def _prompt_problem(prompts: tuple[Prompt, ...], sent: Canonical) -> tuple[str, str, str] | None:
    wanted = [prompt.words for prompt in prompts]
    if wanted == _user_texts(sent):
        return None  # just they stand there, each as it was asked: nothing is left to find
    found = found_prompts([(prompt.words, prompt.sent) for prompt in prompts], request_blocks(sent))
    counts = Counter(found)
    for text, most in Counter(wanted).items():
        if counts[text] > most:
            return f"a prompt stands {counts[text]} times in the request", f"{most} × {text!r}", " | ".join(found)
    current = wanted[-1]
    if counts[current] == 0:
        return "the turn's own prompt is not in the request", repr(current), " | ".join(found) or "no prompts"
    missing = [prompt.words for prompt in prompts if prompt.required and counts[prompt.words] == 0]
    if missing:
        return "an earlier prompt is gone from the request", repr(missing[0]), " | ".join(found)
    if not _in_order(found, wanted):
        return "the prompts stand in another order", " | ".join(wanted), " | ".join(found)
    return None


def _user_texts(sent: Canonical) -> list[str]:
    return [block.text for block in request_blocks(sent) if block.role == "user" and block.kind == "text"]


def _other_frame(transcript: Transcript, seen: Seen) -> tuple[str, str, str] | None:
    """What a client always does does not change from turn to turn. What was cut short before may stand in one text
    with the prompt."""
    policy, heard = seen.record.policy, transcript.heard(seen.record)
    if policy.frame == "any" or (heard and heard[-1].disturbed):
        return None
    text = collapsed(" ".join(message_texts(seen.sent.messages[-1])))
    place = place_of(text, collapsed(seen.record.turn.prompt))
    if place in {None, policy.frame}:
        return None
    return "the prompt stands in another frame than in other turns", _FRAMES[policy.frame], repr(text[:200])


_FRAMES = {
    "none": "the prompt alone",
    "before": "words of the client's before the prompt",
    "after": "words of the client's after the prompt",
    "around": "words of the client's before and after the prompt",
}


def _in_order(found: list[str], wanted: list[str]) -> bool:
    rest = iter(wanted)
    return all(any(text == other for other in rest) for text in found)
