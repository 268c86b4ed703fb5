"""Thinking with its signature, and pictures: sent back as they came, or left out where the policy says so."""

from typing import Any

import msgspec
import pytest

from convtest.clients.messages.client import MessagesClient
from convtest.probe.probing import probe
from convtest.simulator.signing import signature_of
from convtest.wire.blocks import sealed_of
from tests.playing import GOOD, Stage, checks_of, finding_of
from tests.test_policies import play

TALK = """
    scenario: thinks and looks it up
    options: {thinking: {type: enabled, budget_tokens: 1024}}
    tools:
      look_up: {input: {what: string}, answers: [{return: in the attic}]}
    steps:
      - user: Where is it?
        simulate:
          - {thinking: It may be upstairs., text: I will look., calls: [{look_up: {what: it}}]}
          - {thinking: So it is., text: It is in the attic.}
      - user: Thank you.
    """
PICTURE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
OTHER = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "R0lGODlhAQ=="}}


class Edits(MessagesClient):
    """Changes each block of its history, or drops it, when it is sent again."""

    def edited(self, block: dict[str, Any]) -> dict[str, Any] | None:
        return block

    def _body(self) -> bytes:
        body: dict[str, Any] = msgspec.json.decode(super()._body())
        for message in body["messages"]:
            blocks = map(self.edited, message["content"])
            message["content"] = [block for block in blocks if block is not None]
        return msgspec.json.encode(body)


class Altered(Edits):
    def edited(self, block: dict[str, Any]) -> dict[str, Any] | None:
        return {**block, "thinking": "It is lost."} if block.get("type") == "thinking" else block


class OtherSignature(Edits):
    def edited(self, block: dict[str, Any]) -> dict[str, Any] | None:
        return {**block, "signature": signature_of("x")} if block.get("type") == "thinking" else block


class Unsigned(Edits):
    def edited(self, block: dict[str, Any]) -> dict[str, Any] | None:
        return {k: v for k, v in block.items() if k != "signature"} if block.get("type") == "thinking" else block


class Thoughtless(Edits):
    def edited(self, block: dict[str, Any]) -> dict[str, Any] | None:
        return None if block.get("type") == "thinking" else block


def target(client: type[MessagesClient]) -> str:
    return f"{client.__module__}:{client.__name__}"


def test_thinking_that_is_sent_back_as_it_came_is_right(stage: Stage) -> None:
    outcome = stage.play(TALK)

    assert outcome.verdict.passed, outcome.verdict
    blocks = [
        block for message in outcome.transcript.interactions[-1].canonical.messages for block in message["content"]
    ]
    signed = [block for block in blocks if block["type"] == "thinking"]
    assert [one["signature"] for one in signed] == [signature_of(one["thinking"]) for one in signed]
    assert len({one["signature"] for one in signed}) == 2


@pytest.mark.parametrize(
    ("client", "refusal"),
    [
        (Altered, "messages.1.content.0: Invalid `signature` in `thinking` block"),
        (OtherSignature, "messages.1.content.0: Invalid `signature` in `thinking` block"),
        (Unsigned, "messages.1.content.0.thinking.signature: Field required"),
        (Thoughtless, "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `text`."),
    ],
)
def test_the_simulator_refuses_it_as_the_api_does(stage: Stage, client: type[MessagesClient], refusal: str) -> None:
    outcome = stage.play(TALK, target(client))

    assert not outcome.verdict.passed
    second = outcome.transcript.interactions[1]
    assert second.status == 400
    assert msgspec.json.decode(second.body)["error"]["message"].startswith(refusal)


@pytest.mark.parametrize("client", [Altered, OtherSignature, Unsigned])
def test_altered_thinking_is_also_a_changed_history(stage: Stage, client: type[MessagesClient]) -> None:
    found = finding_of(stage.play(TALK, target(client)), "history")

    assert found.message == "a block of the conversation so far (thinking) is not what it was"
    assert "It may be upstairs." in found.expected


PLAIN = TALK.replace("options: {thinking: {type: enabled, budget_tokens: 1024}}", "")


def test_thinking_may_be_left_out_unless_the_policy_keeps_it(stage: Stage) -> None:
    assert checks_of(play(stage, PLAIN, target(Thoughtless))) == []

    kept = play(stage, PLAIN, target(Thoughtless), thinking="kept")

    assert {check for check, _ in checks_of(kept)} == {"history"}
    assert "is gone, and the policy says thinking: kept" in finding_of(kept, "history").message
    assert checks_of(play(stage, PLAIN, GOOD, thinking="kept")) == []


def test_the_probe_measures_whether_thinking_is_sent_back(stage: Stage) -> None:
    assert probe(stage.config(), "assistant").policy["thinking"] == "kept"
    assert probe(stage.config(target(Thoughtless)), "assistant").policy["thinking"] == "either"


def test_thinking_that_was_cut_off_is_not_sent_back(stage: Stage) -> None:
    """It is unsigned, and the API takes none of that."""
    cut = """
        scenario: cut off while it thinks
        steps:
          - user: Where is it?
            simulate: {thinking: It may be upstairs or in the cellar., text: In the attic.}
            interrupt: {at: thinking}
            expect: {ended: interrupted}
          - user: Thank you.
        """

    outcome = stage.play(cut)

    assert outcome.verdict.passed, outcome.verdict
    assert sealed_of(outcome.transcript.interactions[-1].canonical.messages) == ()


class Shows(Edits):
    """Sends a picture with its first prompt."""

    later: dict[str, Any] | None = PICTURE

    def _body(self) -> bytes:
        body: dict[str, Any] = msgspec.json.decode(super()._body())
        first, is_later = body["messages"][0], len(body["messages"]) > 1
        picture = self.later if is_later else PICTURE
        first["content"] = [*([picture] if picture else []), *first["content"]]
        return msgspec.json.encode(body)


class LosesThePicture(Shows):
    later = None


class ShowsAnother(Shows):
    later = OTHER


PICTURES = """
    scenario: a picture
    steps:
      - user: What is in this picture?
        simulate: {text: A lighthouse.}
      - user: And what is beside it?
      - user: Thank you.
    """


def test_a_picture_stays_in_the_history(stage: Stage) -> None:
    assert checks_of(stage.play(PICTURES, target(Shows))) == []

    gone = stage.play(PICTURES, target(LosesThePicture))

    assert {check for check, _ in checks_of(gone)} == {"history"}
    assert "(picture) is gone, and the policy says images: kept" in finding_of(gone, "history").message
    assert checks_of(play(stage, PICTURES, target(LosesThePicture), images="either")) == []


@pytest.mark.parametrize("images", ["kept", "either"])
def test_another_picture_is_another_history_under_every_policy(stage: Stage, images: str) -> None:
    outcome = play(stage, PICTURES, target(ShowsAnother), images=images)

    assert {check for check, _ in checks_of(outcome)} == {"history"}
    assert "(picture) is not what it was" in finding_of(outcome, "history").message


def test_a_new_picture_with_a_new_prompt_is_new() -> None:
    """And one in a tool's result counts like any other."""
    text: dict[str, Any] = {"type": "text", "text": "Hm."}
    shown = {"type": "tool_result", "tool_use_id": "1", "content": [PICTURE]}
    history: list[dict[str, Any]] = [
        {"role": "user", "content": [PICTURE, text]},
        {"role": "assistant", "content": [text]},
    ]
    more = [*history, {"role": "user", "content": [OTHER, text]}, {"role": "user", "content": [shown]}]

    assert [one.place for one in sealed_of(more)] == [0, 2, 4]
    first, second, third = (one.keys for one in sealed_of(more))
    assert first == third != second
