"""Blocks that a client makes: Claude Code's own are no words of the conversation, another client's are."""

import msgspec
import pytest

from convtest.clients.messages.client import MessagesClient
from convtest.play.mode import Mode
from convtest.wire.canonical import canonical, is_claude_code
from tests.playing import Stage, checks_of, finding_of

ME = "tests.test_reminders:Remembers"
ONE = "scenario: one\nsteps: [{user: What is 1 + 1?}, {user: What is 2 + 2?}]"
TWO = """
scenario: two users
sessions: {alice: {}, bob: {}}
facts: {who: {tell: My name is Alessandra Quux., ask: What is my name?, answer: Alessandra Quux}}
steps:
  - {session: alice, tell: who}
  - session: bob
    user: What is 1 + 1?
    expect: {not: {knows: who}}
"""
MEMORY = {"text": "likes tea"}


class Remembers(MessagesClient):
    """Its memory of the user stands in a block of its own before the prompt."""

    async def query(self, text: str) -> None:
        await super().query(text)
        block = {"type": "text", "text": f"<system-reminder>\nThe user {MEMORY['text']}.\n</system-reminder>"}
        self._messages[-1]["content"].insert(0, block)


@pytest.fixture(autouse=True)
def memory() -> None:
    MEMORY["text"] = "likes tea"


def test_an_honest_memory_is_recorded_and_replayed(stage: Stage) -> None:
    stage.record(ONE, ME)

    assert checks_of(stage.play(ONE, ME)) == []


def test_another_memory_is_another_request(stage: Stage) -> None:
    stage.record(ONE, ME)
    MEMORY["text"] = "likes coffee"

    outcome = stage.play(ONE, ME)

    assert ("miss", "wire") in checks_of(outcome)
    assert any("coffee" in line for found in outcome.result().found for line in found.difference)


def test_what_stands_in_a_block_of_the_client_is_looked_through(stage: Stage) -> None:
    MEMORY["text"] = "is called Alessandra Quux"

    outcome = stage.play(TWO, ME)

    assert {("isolation", "wire"), ("not", "wire")} <= set(checks_of(outcome))
    assert finding_of(outcome, "isolation").session == "bob"


def sent(*texts: str) -> bytes:
    content = [{"type": "text", "text": text} for text in texts]
    return msgspec.json.encode({"model": "m", "messages": [{"role": "user", "content": content}]})


def test_claude_codes_own_blocks_are_not_compared_and_still_read() -> None:
    url = "https://api.anthropic.com/v1/messages"
    today, tomorrow = (sent(f"<system-reminder>Today is {day}.</system-reminder>", "Hello.") for day in ("1", "2"))

    def made(body: bytes, *, claude_code: bool) -> str:
        return canonical("POST", url, body, claude_code=claude_code).key

    assert made(today, claude_code=True) == made(tomorrow, claude_code=True)
    assert made(today, claude_code=False) != made(tomorrow, claude_code=False)
    texts = canonical("POST", url, today, claude_code=True).texts()
    assert texts == ["Hello.", "<system-reminder>Today is 1.</system-reminder>"]
    assert is_claude_code([("User-Agent", "claude-cli/2.1.329 (external, sdk-py)")])
    assert not is_claude_code([("user-agent", "python-httpx/0.28.1")])


def test_words_in_the_same_message_as_a_prompt_are_no_history_of_a_stranger(stage: Stage) -> None:
    recorded = stage.play(ONE, ME, Mode(record="all"))

    assert checks_of(recorded) == []


def with_system_turn(words: str, effort: str = "medium") -> bytes:
    messages = [
        {"role": "user", "content": "Hello."},
        {"role": "system", "content": words, "output_config": {"effort": effort}},
    ]
    return msgspec.json.encode({"model": "m", "messages": messages})


def test_claude_codes_system_turns_are_not_compared_and_still_read() -> None:
    url = "https://api.anthropic.com/v1/messages"

    def made(body: bytes, *, claude_code: bool) -> str:
        return canonical("POST", url, body, claude_code=claude_code).key

    one, other = with_system_turn("Today is 1."), with_system_turn("Today is 2.")
    assert made(one, claude_code=True) == made(other, claude_code=True) == made(sent("Hello."), claude_code=True)
    assert made(one, claude_code=False) != made(other, claude_code=False)
    assert canonical("POST", url, one, claude_code=True).texts() == ["Hello.", "Today is 1."]


def test_what_a_local_command_told_is_not_compared_and_still_read() -> None:
    url = "https://api.anthropic.com/v1/messages"
    told, later = (sent(f"<local-command-stdout>It took {n}s</local-command-stdout>", "Hello.") for n in (1, 2))

    def made(body: bytes, *, claude_code: bool) -> str:
        return canonical("POST", url, body, claude_code=claude_code).key

    assert made(told, claude_code=True) == made(later, claude_code=True)
    assert made(told, claude_code=False) != made(later, claude_code=False)
    assert "It took 1s" in canonical("POST", url, told, claude_code=True).texts()[-1]


@pytest.mark.parametrize(
    ("sent_as", "typed"),
    [
        (
            """<command-message>greet</command-message>
            <command-name>/greet</command-name><command-args>Ada\nand Bob</command-args>
            """,
            "/greet Ada\nand Bob",
        ),
        (
            """<command-name>/usage</command-name>
            <command-message>usage</command-message><command-args></command-args>""",
            "/usage",
        ),
        ("<command-name>/usage</command-name>", "<command-name>/usage</command-name>"),
        ("<command-name>/a</command-name> <command-args>b</command-args> and words", None),
    ],
)
def test_a_command_of_claude_code_is_what_was_typed(sent_as: str, typed: str | None) -> None:
    found = canonical("POST", "https://api.anthropic.com/v1/messages", sent(sent_as), claude_code=True)

    assert found.texts() == [typed or sent_as]
    assert canonical("POST", "https://api.anthropic.com/v1/messages", sent(sent_as)).texts() == [sent_as]
