"""What broke off on the wire is not taken for whole, and not said twice."""

from collections.abc import Iterator

from convtest.checks.conduct import conduct_of, goes_on_from, is_broken
from convtest.checks.result import Finding, at_step
from convtest.transcript import Transcript
from convtest.wire.interaction import Interaction

_ADVICE = "an answer is whole only with its stop reason: check for it before tools run or the turn ends"


def _ended(cut: Interaction) -> str:
    if cut.ended == "complete":
        return "that ended cleanly, before the model had said why it stopped"
    return f"that ended {cut.ended}, without its last event"


def whole_answer(transcript: Transcript) -> Iterator[Finding]:
    """A turn that ended complete was answered by a whole stream, and what broke off before it is not said twice."""
    for record in transcript.turns():
        if record.wire != "history" or record.crash or record.hung:
            continue
        conduct = conduct_of(record)
        if conduct.truncated == "taken_as_complete":
            broken = [one for one in record.main() if is_broken(one)]
            ran = next((one for one in broken if goes_on_from(one, record.main())), None)
            if ran and record.policy.broken_tools == "run" and record.main()[-1] is not broken[-1]:
                continue
            cut = ran or broken[-1]
            yield at_step(
                record,
                "whole_answer",
                None,
                "a stream that broke off was taken for a whole answer",
                expected="an end that says so, such as connection_lost, or another try",
                seen=f"{'its tools were run and it went on' if ran else 'complete'}, after a stream {_ended(cut)}",
                advice=f"{_ADVICE}; if the client runs them on purpose: broken_tools = 'run'" if ran else _ADVICE,
                key="user",
            )
        elif conduct.text == "doubled" and record.policy.restarted_text == "once":
            yield at_step(
                record,
                "whole_answer",
                None,
                "the beginning of an answer that broke off was said again",
                expected="the text once",
                seen=repr(record.text[:200]),
                advice='take back what was shown before asking again, or declare policy restarted_text = "doubled"',
                key="user",
            )
