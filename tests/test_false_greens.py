"""What other recorders stay green on is caught on replay, by a message that names it; what may differ passes."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from convtest.cassettes import store
from convtest.clients.messages.client import MessagesClient
from convtest.clients.port import Opening
from convtest.reporting.failure import failure_text
from tests.broken_clients import edited
from tests.playing import Stage, checks_of

ME = "tests.test_false_greens"
TALK = """
    scenario: the false-green table
    sessions: {alice: {}, bob: {}}
    options: {system: You are terse and kind., max_retries: 1}
    tools:
      look_up: {input: {what: string}, answers: [{return: found in the attic}]}
    steps:
      - {session: alice, user: I am fond of hiking.}
      - {session: bob, user: I live in a lighthouse.}
      - session: alice
        user: Look it up.
        simulate: [{calls: [{look_up: {what: it}}]}, {text: Here it is.}]
      - session: alice
        user: Thank you very much.
        fault: {status: 529}
      - {session: alice, user: What did I say first?}
    """


def history_dropped(opening: Opening) -> MessagesClient:
    return edited(opening, lambda body: {**body, "messages": body["messages"][-1:]})


def system_changed(opening: Opening) -> MessagesClient:
    return edited(opening, lambda body: {**body, "system": "You are terse and rude."})


def model_changed(opening: Opening) -> MessagesClient:
    return edited(opening, lambda body: {**body, "model": "claude-opus-4-1"})


def tool_result_lost(opening: Opening) -> MessagesClient:
    def edit(body: dict[str, Any]) -> dict[str, Any]:
        text = msgspec.json.encode(body).decode().replace("found in the attic", "")
        return msgspec.json.decode(text)  # type: ignore[no-any-return]

    return edited(opening, edit)


def reordered(opening: Opening) -> MessagesClient:
    def edit(body: dict[str, Any]) -> dict[str, Any]:
        m = body["messages"]
        return {**body, "messages": [*m[2:4], *m[0:2], *m[4:]] if len(m) > 4 else m}

    return edited(opening, edit)


def sent_twice(opening: Opening) -> MessagesClient:
    return edited(opening, lambda body: {**body, "messages": [*body["messages"], body["messages"][-1]]})


class SwappedLanes(MessagesClient):
    """Bob sends what alice would, and the other way round."""

    async def query(self, text: str) -> None:
        other = {"I am fond of hiking.": "I live in a lighthouse.", "I live in a lighthouse.": "I am fond of hiking."}
        await super().query(other.get(text, text))


def no_retry(opening: Opening) -> MessagesClient:
    return MessagesClient(replace(opening, options={**opening.options, "max_retries": 0}))


@pytest.mark.parametrize(
    ("client", "says"),
    [
        ("history_dropped", "is not sent: user: I am fond of hiking."),
        ("SwappedLanes", "this is what 'bob' was recorded to send"),
        ("system_changed", "You are terse and rude."),
        ("model_changed", "claude-opus-4-1"),
        ("tool_result_lost", "found in the attic"),
        ("reordered", "reorders the conversation so far"),
        ("sent_twice", "a prompt stands 2 times in the request"),
        ("no_retry", "recorded and not asked for: 7 messages (…, assistant, user, assistant, user, assistant, user), "),
    ],
)
def test_it_is_caught_on_replay_and_the_message_names_it(stage: Stage, client: str, says: str) -> None:
    stage.record(TALK)

    outcome = stage.play(TALK, f"{ME}:{client}")

    assert outcome.transcript.source == "replayed"
    assert "wire" in [layer for _, layer in checks_of(outcome)]
    assert says in failure_text(outcome.result())


def test_what_was_recorded_passes_with_its_retry(stage: Stage) -> None:
    stage.record(TALK)

    outcome = stage.play(TALK)

    assert outcome.verdict.passed, outcome.verdict
    assert 529 in [one.status for one in outcome.transcript.interactions]


def test_a_title_request_may_overtake_the_turn(stage: Stage) -> None:
    text = "scenario: titles\nsteps: [{user: I am fond of hiking.}, {user: What is 1 + 1?}]\n"
    stage.record(text, "tests.broken_clients:TwoRequests")
    loaded = store.load(stage.cassette(), shown="c")
    for number, one in zip([2, 1, 4, 3], loaded, strict=True):
        one.number = number
    store.save(stage.cassette(), sorted(loaded, key=lambda one: one.number))

    assert stage.play(text, "tests.broken_clients:TwoRequests").verdict.passed


def keeps_less(opening: Opening) -> MessagesClient:
    """Another version of the client: it keeps one word of an interrupted answer."""

    def edit(body: dict[str, Any]) -> dict[str, Any]:
        text = msgspec.json.encode(body).decode().replace("Once there was a lighthouse", "Once")
        return msgspec.json.decode(text)  # type: ignore[no-any-return]

    return edited(opening, edit)


def keeps_nothing(opening: Opening) -> MessagesClient:
    def edit(body: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
        kept = [m for m in body["messages"] if "Once there was" not in str(m["content"])]
        return {**body, "messages": kept}

    return edited(opening, edit)


def invents(opening: Opening) -> MessagesClient:
    def edit(body: dict[str, Any]) -> dict[str, Any]:
        text = msgspec.json.encode(body).decode().replace("Once there was a lighthouse", "Twice there was")
        return msgspec.json.decode(text)  # type: ignore[no-any-return]

    return edited(opening, edit)


@pytest.mark.parametrize(("client", "plays"), [("keeps_less", True), ("keeps_nothing", True), ("invents", False)])
def test_after_a_cut_turn_any_beginning_of_its_answer_is_the_same_request(
    stage: Stage, client: str, plays: bool
) -> None:
    text = """
        scenario: cut
        steps:
          - user: Tell me a long story about a lighthouse.
            interrupt: {after: 5}
            expect: {ended: interrupted}
          - user: What is 1 + 1?
          - user: What is 2 + 2?
        """
    stage.record(text)

    outcome = stage.play(text, f"{ME}:{client}")

    assert (("miss", "wire") not in checks_of(outcome)) == plays, outcome.verdict


def test_more_keys_can_be_declared_volatile(stage: Stage) -> None:
    text = "scenario: traces\nsteps: [{user: What is 1 + 1?}]\n"
    counter = iter(range(100))
    Traced.next_trace = lambda self: f"trace-{next(counter)}"  # type: ignore[method-assign]

    stage.volatile = frozenset({"trace_id"})
    stage.record(text, f"{ME}:Traced")
    assert stage.play(text, f"{ME}:Traced").verdict.passed

    stage.volatile = frozenset()
    assert ("miss", "wire") in checks_of(stage.play(text, f"{ME}:Traced"))


class Traced(MessagesClient):
    def next_trace(self) -> str:
        raise NotImplementedError

    def _body(self) -> bytes:
        return msgspec.json.encode(
            {**msgspec.json.decode(super()._body()), "metadata": {"trace_id": self.next_trace()}}
        )
