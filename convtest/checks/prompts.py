"""Each prompt stands exactly once in the history, in order."""

from collections import Counter
from collections.abc import Iterator

from convtest.checks.cutting import is_bound
from convtest.checks.histories import Prompt, follow
from convtest.checks.result import Finding, at_step
from convtest.transcript import Transcript, TurnRecord
from convtest.wire.blocks import Block, request_blocks


def prompts_once(transcript: Transcript) -> Iterator[Finding]:
    """Each prompt stands exactly once in the history, in order."""
    yield from _never_sent(transcript)
    for seen in follow(transcript):
        if not seen.is_first or seen.record.policy.memory != "messages":
            continue
        problem = _prompt_problem(seen.before.prompts, request_blocks(seen.sent))
        if problem:
            message, expected, found = problem
            bound = "earlier prompt is gone" in message and any(map(is_bound, transcript.heard(seen.record)))
            advice = _BY_POLICY if bound else ""
            yield at_step(
                seen.record, "prompts_once", "wire", message, expected=expected, seen=found, advice=advice, key="user"
            )


_BY_POLICY = (
    'the client\'s policy says interrupted_prompt = "kept" (after a kill killed_prompt = "kept"); if it means to drop '
    "the prompt of a turn that was cut short, declare that: convtest probe"
)


def is_never_sent(transcript: Transcript, record: TurnRecord) -> bool:
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
        if is_never_sent(transcript, record):
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


def _prompt_problem(prompts: tuple[Prompt, ...], blocks: tuple[Block, ...]) -> tuple[str, str, str] | None:
    wanted = [Prompt(" ".join(prompt.text.split()), prompt.required) for prompt in prompts]
    found = _found_prompts([prompt.text for prompt in wanted], blocks)
    counts = Counter(found)
    for text, most in Counter(prompt.text for prompt in wanted).items():
        if counts[text] > most:
            return f"a prompt stands {counts[text]} times in the request", f"{most} × {text!r}", " | ".join(found)
    current = wanted[-1].text
    if counts[current] == 0:
        return "the turn's own prompt is not in the request", repr(current), " | ".join(found) or "no prompts"
    missing = [prompt.text for prompt in wanted if prompt.required and counts[prompt.text] == 0]
    if missing:
        return "an earlier prompt is gone from the request", repr(missing[0]), " | ".join(found)
    if not _in_order(found, [prompt.text for prompt in wanted]):
        return "the prompts stand in another order", " | ".join(p.text for p in wanted), " | ".join(found)
    return None


def _found_prompts(prompts: list[str], blocks: tuple[Block, ...]) -> list[str]:
    """The prompts that user texts are, or hold beside a client's own words."""
    found: list[str] = []
    for block in blocks:
        if block.role != "user" or block.kind != "text":
            continue
        if block.text in prompts:
            found.append(block.text)
        else:
            found += _held(block.text, prompts)
    return found


def _held(text: str, prompts: list[str]) -> list[str]:
    """The prompts in a text, in their order; the longest first, so that "I like tea." within "I like tea. And coffee."
    is none of its own."""
    held: list[tuple[int, str]] = []
    for prompt in sorted({*prompts} - {""}, key=len, reverse=True):
        at = text.find(prompt)
        if at >= 0:
            held.append((at, prompt))
            text = f"{text[:at]}{chr(0) * len(prompt)}{text[at + len(prompt) :]}"
    return [prompt for _, prompt in sorted(held)]


def _in_order(found: list[str], wanted: list[str]) -> bool:
    rest = iter(wanted)
    return all(any(text == other for other in rest) for text in found)
