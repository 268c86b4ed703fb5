"""`convtest import`: conversations from elsewhere become scenarios that hold, and that a forgetful client fails."""

import json
from pathlib import Path
from typing import Any

import pytest

from convtest.events import kind_of
from convtest.importing import proving
from convtest.importing.reading.content import NotImportable
from convtest.structs import replace
from tests.imported import (
    FORMATS,
    KEY,
    MESSAGES_URL,
    SAID,
    Json,
    Sent,
    anthropic,
    as_json,
    flat_span,
    har,
    lines,
    openai,
    said,
    stream,
    vcr,
)
from tests.importing import FORGETFUL, Bench
from tests.project import Project


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def green(bench: Bench) -> None:
    for played in bench.plays():
        assert played.verdict.passed, played.verdict
    assert not [one for one in bench.plays(kind="python", target=FORGETFUL) if one.verdict.passed]


def states(bench: Bench, text: str, name: str = "given.json", **more: Any) -> list[str]:
    return [one.state for one in bench.imports(text, name, **more).outcomes]


@pytest.mark.parametrize("name", FORMATS)
def test_a_conversation_in_each_format_becomes_a_scenario_that_holds(bench: Bench, name: str) -> None:
    format, text, state = FORMATS[name]

    made = bench.imports(text, name)

    assert [one.state for one in made.outcomes] == [state]
    assert made.found.left_out == []
    assert "tell: My name is Ada and I live in Ghent." in bench.scenario
    assert "answer: Ghent" in bench.scenario
    assert "proposed: [knows]" in bench.scenario
    green(bench)
    assert states(bench, text, name, forced=format, force=True) == [state]


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_that_is_not_of_the_format_it_is_said_to_be_is_refused(bench: Bench, name: str) -> None:
    format, text, _ = FORMATS[name]
    for other in {one for one, _, _ in FORMATS.values()} - {format}:
        with pytest.raises(NotImportable) as caught:
            bench.imports(text, name, forced=other)
        assert f"not of the format {other}: it is " in str(caught.value)
        assert "claude-code: session files of Claude Code" in str(caught.value)


CHAT = """
[tool.convtest.clients.chat]
kind = "chat_completions"
model = "gpt-4.1-mini"
upstream = "simulator"
"""


def test_from_outside(project: Project) -> None:
    """Imported, checked, replayed by plain pytest without anything simulated, and written over only when asked."""
    project.write("pyproject.toml", project.read("pyproject.toml") + CHAT)
    project.write("from/talk.yaml", FORMATS["chat.yaml"][1])

    done = project.convtest("import", "from/talk.yaml")

    assert done.code == 0, done.text
    assert done.out.splitlines() == [
        "from/talk.yaml: a cassette of vcrpy, 3 requests; 1 conversation",
        "written     scenarios/talk.yaml: 1 scenario",
        "replays     My name is Ada and I live in Ghent: requests 1, 2, 3; 3 expectations proposed",
        "            from cassettes/talk/my-name-is-ada-and-i-live-in-ghent.yaml",
        "next:       read scenarios/talk.yaml, take away the marks `proposed`, and play it: pytest scenarios/talk.yaml",
    ]
    assert project.pytest("-q", "--convtest-strict").counts() == {"passed": 1}
    assert "proposed: 3" in project.convtest("check").out
    before = project.files()
    again = project.convtest("import", "from/talk.yaml")
    assert (again.code, project.files()) == (2, before)
    assert "there is scenarios/talk.yaml, cassettes/talk/my-name-is-ada-and-i-live-in-ghent.yaml already" in again.err
    assert project.convtest("import", "from/talk.yaml", "--force").code == 0
    assert project.files() == before
    other = project.convtest("import", "from/talk.yaml", "--output", "scenarios/deep/other.yaml", "--json")
    (data,) = json.loads(other.out)["imports"]
    assert data["scenarios"] == ["scenarios/deep/other.yaml"]
    assert data["conversations"][0]["cassette"] == "cassettes/deep/other/my-name-is-ada-and-i-live-in-ghent.yaml"
    assert project.pytest("-q", "--convtest-strict").counts() == {"passed": 2}


def test_secrets_never_reach_what_is_written(bench: Bench) -> None:
    """Said by the user, streamed back in pieces, and in the headers of the file."""
    pairs = ((f"My key is {KEY} in /home/ada7/project.", f"Noted: {KEY[:20]} {KEY} it is."), SAID[1])
    sent = anthropic(pairs)
    sent[0].answer = stream(f"Noted: {KEY} it is.").replace(
        json.dumps({"type": "text_delta", "text": f"{KEY} "}).encode(),
        json.dumps({"type": "text_delta", "text": KEY[:9]}).encode(),
    )
    for name, text in {
        "a.har": as_json(har(anthropic(pairs))),
        "b.json": as_json(said(2, pairs)),
        "c.json": as_json([flat_span(1, pairs), flat_span(2, pairs)]),
    }.items():
        bench.imports(text, name)
        for one in bench.done:
            written = one.path.read_text(encoding="utf-8")
            assert KEY not in written
            assert "/home/ada7" not in written
        assert "SCRUBBED_KEY-1 in /HOME-1/project" in bench.scenario
        green(bench)


def test_what_is_not_the_conversation_is_left_out_and_said(bench: Bench) -> None:
    first = anthropic()
    title = {"model": "small", "max_tokens": 20, "stream": True, "system": "Make a title."}
    asked = [{"role": "user", "content": f"A title for: {SAID[0][0]}"}]
    sent = [
        Sent("https://example.com/app.js", {}, b"{}", method="GET"),
        first[0],
        Sent(MESSAGES_URL, {**title, "messages": asked}, stream("Ada in Ghent")),
        Sent("https://api.openai.com/v1/embeddings", {"input": "x"}, b"{}"),
        Sent(f"{MESSAGES_URL}/count_tokens", {"messages": asked}, b'{"input_tokens": 3}'),
        *first[1:],
        first[2],
    ]

    made = bench.imports(as_json(har(sent)), "page.har")

    assert [one.state for one in made.outcomes] == ["replays"]
    assert (
        made.found.left_out
        == [
            "entry 1: GET example.com/app.js asks no model in an API that is known",
            "entry 4: POST api.openai.com/v1/embeddings asks no model in an API that is known",
            "entry 5: POST api.anthropic.com/v1/messages/count_tokens asks no model in an API that is known",
            "entry 3: a request beside the conversation: it quotes entry 2",
            "entry 8: asked again, in the same words as entry 7",
        ]
        or made.found.left_out
    )
    green(bench)


def test_several_conversations_become_several_scenarios(bench: Bench) -> None:
    others = (("I have 12 apples.", "Noted."), ("How many apples do I have?", "You have 12 apples."))
    one, other = anthropic(), anthropic(others)

    made = bench.imports(as_json(vcr([one[0], other[0], one[1], other[1], one[2]])))

    assert [each.conversation.where for each in made.outcomes] == ["requests 1, 3, 5", "requests 2, 4"]
    assert [each.state for each in made.outcomes] == ["replays", "replays"]
    assert bench.scenario.count("\n---\n") == 1
    assert len(list(bench.plays())) == 2
    green(bench)


def test_a_branch_is_a_scenario_of_its_own(bench: Bench) -> None:
    other = (SAID[0], ("What is my name?", "Your name is Ada."))
    sent = [*anthropic(), anthropic(other)[1]]

    made = bench.imports(as_json(vcr(sent)))

    assert [one.conversation.where for one in made.outcomes] == ["requests 1, 2, 3", "requests 1, 4"]
    assert made.outcomes[1].notes == ["it leaves another conversation after request 1"]
    green(bench)


@pytest.mark.parametrize(("status", "times"), [(529, 1), (429, 2)])
def test_what_was_refused_and_asked_again_is_a_retry(bench: Bench, status: int, times: int) -> None:
    sent = anthropic()
    error = json.dumps({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}).encode()
    refused = [Sent(sent[1].url, sent[1].body, error, status=status)] * times

    assert states(bench, as_json(vcr([sent[0], *refused, *sent[1:]]))) == ["replays"]
    assert f"max_retries: {times}" in bench.scenario
    (played,) = bench.plays()
    assert len(played.transcript.interactions) == 3 + times
    green(bench)


def test_a_conversation_that_ends_in_a_refusal(bench: Bench) -> None:
    sent = anthropic()
    error = json.dumps({"type": "error", "error": {"type": "invalid_request_error", "message": "no"}}).encode()

    assert states(bench, as_json(vcr([*sent[:2], Sent(sent[2].url, sent[2].body, error, status=400)]))) == ["replays"]
    assert "ended: error\n      proposed: [ended]" in bench.scenario


TOOL = {
    "name": "get_weather",
    "description": "The weather in a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def with_tools() -> list[Sent]:
    """Two cities at once, one of them unknown; then an answer."""
    calls = [("toolu_1", "get_weather", {"city": "Ghent"}), ("toolu_2", "get_weather", {"city": "Oslo"})]
    first = {"model": "claude-haiku-4-5", "max_tokens": 1024, "stream": True, "tools": [TOOL]}
    asked: list[Json] = [{"role": "user", "content": "What is the weather in Ghent and Oslo?"}]
    uses = [{"type": "tool_use", "id": id, "name": name, "input": given} for id, name, given in calls]
    results = [
        {"type": "tool_result", "tool_use_id": "toolu_1", "content": "18 degrees"},
        {"type": "tool_result", "tool_use_id": "toolu_2", "content": "service down", "is_error": True},
    ]
    said = {"role": "assistant", "content": [{"type": "text", "text": "Let me look."}, *uses]}
    told = [*asked, said, {"role": "user", "content": results}]
    return [
        Sent(MESSAGES_URL, {**first, "messages": asked}, stream("Let me look.", stop="tool_use", calls=calls)),
        Sent(MESSAGES_URL, {**first, "messages": told}, stream("It is 18 degrees in Ghent.")),
    ]


def test_tools_become_stand_ins(bench: Bench) -> None:
    assert states(bench, as_json(vcr(with_tools()))) == ["replays"]
    assert "description: The weather in a city.\n    input: {city: string}" in bench.scenario
    assert "- when: {city: Ghent}\n        return: '18 degrees'" in bench.scenario
    assert "- when: {city: Oslo}\n        error: service down" in bench.scenario
    assert "calls: [{get_weather: {city: Ghent}}, {get_weather: {city: Oslo}}]" in bench.scenario
    green(bench)


def test_tools_that_nobody_answered_end_the_turn(bench: Bench) -> None:
    assert states(bench, as_json(vcr(with_tools()[:1]))) == ["replays"]
    assert "max_turns: 1" in bench.scenario
    assert "ended: max_turns" in bench.scenario


def test_tools_in_a_message_list_are_scripted(bench: Bench) -> None:
    listed = [*with_tools()[1].body["messages"], {"role": "assistant", "content": "It is 18 degrees in Ghent."}]

    assert states(bench, as_json({"messages": listed})) == ["simulates"]
    assert "text: It is 18 degrees in Ghent." in bench.scenario
    green(bench)


def test_an_answer_that_was_not_streamed_becomes_a_stream(bench: Bench) -> None:
    sent = with_tools()
    use = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Ghent"}}
    other = {**use, "id": "toolu_2", "input": {"city": "Oslo"}}
    thinking = {"type": "thinking", "thinking": "Two cities.", "signature": "c2ln"}
    blocks = [thinking, {"type": "text", "text": "Let me look."}, use, other]
    answer = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-haiku-4-5", "content": blocks,
              "stop_reason": "tool_use", "usage": {"input_tokens": 9, "output_tokens": 5}}  # fmt: skip
    sent[0].answer, sent[0].body["stream"] = json.dumps(answer).encode(), False
    sent[1].body["messages"][1]["content"].insert(0, thinking)

    made = bench.imports(as_json(vcr(sent)))

    assert [one.state for one in made.outcomes] == ["replays"]
    assert made.outcomes[0].notes == [
        "answer 1 was not streamed: its stream is made of it, a chunk for each block",
        "requests are kept as client assistant sends them; recorded were others in stream",
    ]
    (played,) = bench.plays()
    assert [kind_of(event) for event in played.transcript.turns()[0].events][:3] == ["thinking", "text", "tool_use"]
    assert played.transcript.turns()[0].end.usage.output_tokens == 10  # type: ignore[union-attr]
    green(bench)


def test_a_chat_answer_that_was_not_streamed_becomes_a_stream(bench: Bench) -> None:
    sent = openai()
    message = {"role": "assistant", "content": SAID[0][1], "refusal": None}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    answer = {"id": "c1", "object": "chat.completion", "model": "m", "choices": [choice],
              "usage": {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}}  # fmt: skip
    sent[0].answer = json.dumps(answer).encode()
    sent[0].body.pop("stream")
    sent[0].body.pop("stream_options")

    assert states(bench, as_json(vcr(sent))) == ["replays"]
    green(bench)


def test_an_answer_that_is_not_in_the_file_is_scripted_of_what_later_requests_tell(bench: Bench) -> None:
    sent = anthropic()
    sent[1].answer = b""

    made = bench.imports(as_json(har(sent)), "chrome.har")

    assert [(one.state, one.why) for one in made.outcomes] == [("simulates", "an answer of it is not in the file")]
    assert made.found.left_out == ["entry 2: its answer is not in the file"]
    assert "text: The result is 105." in bench.scenario
    green(bench)


def test_turns_before_the_first_saved_answer_are_history(bench: Bench) -> None:
    sent = anthropic()
    sent[0].answer = b""

    (made,) = bench.imports(as_json(har(sent)), "chrome.har").outcomes
    assert (made.state, made.conversation.where) == ("replays", "entries 1, 2, 3")
    assert "- assistant: Nice to meet you, Ada." in bench.scenario
    green(bench)


def test_what_our_client_sends_otherwise_is_adapted_and_said(bench: Bench) -> None:
    sent = anthropic(service_tier="auto", temperature=0.5)
    for one in sent:
        one.url += "?beta=true"

    made = bench.imports(as_json(vcr(sent)))

    assert [one.notes for one in made.outcomes] == [
        ["requests are kept as client assistant sends them; recorded were others in the address, service_tier"]
    ]
    assert "temperature: 0.5" in bench.scenario
    green(bench)


def test_requests_are_adapted_together(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long recording is not played once for each of its requests."""
    played: list[int] = []
    real = proving._play

    def counted(*given: Any) -> Any:
        played.append(len(given))
        return real(*given)

    monkeypatch.setattr(proving, "_play", counted)
    pairs = [(f"Tell me of river number {n}.", f"River {n} is long.") for n in range(8)]

    assert states(bench, as_json(vcr(openai(pairs, store=False, metadata={"team": "a"})))) == ["replays"]
    assert len(played) == 2
    green(bench)


def test_words_are_never_adapted(bench: Bench) -> None:
    """A client that put a note of its own into each prompt: its recording cannot be replayed by ours."""
    sent = anthropic()
    for one in sent[1:]:
        one.body["messages"][-1] = {
            "role": "user",
            "content": [
                {"type": "text", "text": "(noon)"},
                {"type": "text", "text": one.body["messages"][-1]["content"]},
            ],
        }

    (made,) = bench.imports(as_json(vcr(sent[:2]))).outcomes

    assert made.state == "simulates"
    assert made.why.startswith("a request holds other words than were recorded: user: '(noon)'")


def test_a_history_that_somebody_made_is_declared(bench: Bench) -> None:
    """What stands before the first prompt; and an answer that is another one in the next request."""
    sent = anthropic()
    sent[2].body["messages"][3] = {"role": "assistant", "content": "It is one hundred and five."}

    made = bench.imports(as_json(vcr(sent[1:])))

    assert [one.state for one in made.outcomes] == ["replays", "replays"]
    assert "history:\n      - user: My name is Ada and I live in Ghent." in bench.scenario
    assert "- assistant: It is one hundred and five." in bench.scenario
    green(bench)


def test_settings_that_change_are_set(bench: Bench) -> None:
    sent = anthropic()
    sent[1].body["temperature"] = sent[2].body["temperature"] = 0.25

    assert states(bench, as_json(vcr(sent))) == ["replays"]
    assert "- set: main\n    options:\n      temperature: 0.25" in bench.scenario


def test_a_recording_whose_api_no_client_here_speaks_is_scripted(bench: Bench) -> None:
    del bench.config.clients["chat"]  # type: ignore[attr-defined]

    (made,) = bench.imports(as_json(vcr(openai()))).outcomes

    assert made.state == "simulates"
    assert made.why == "it speaks Chat Completions, and no profile here is of kind chat_completions"
    (also,) = bench.imports(as_json(vcr(openai())), client="assistant", force=True).outcomes
    assert also.why == "client assistant is of kind messages, and the recording speaks Chat Completions"


def test_a_client_of_ones_own_is_not_played(bench: Bench) -> None:
    """What it would do at import nobody knows: the recording is kept as it is, and plain pytest plays it."""
    clients = {**bench.config.clients, "mine": bench.config.clients["assistant"]}
    clients["mine"] = type(clients["mine"])(name="mine", kind="python", target="nowhere:at_all", upstream="simulator")
    bench.config = replace(bench.config, clients=clients)

    (made,) = bench.imports(as_json(vcr(anthropic())), client="mine").outcomes

    assert made.state == "not played"
    assert "client: mine" in bench.scenario
    assert len(bench.done) == 2


def test_an_answer_cut_off_by_the_limit_ends_so(bench: Bench) -> None:
    sent = anthropic()
    sent[2].answer = stream("You live in", stop="max_tokens")

    assert states(bench, as_json(vcr(sent))) == ["replays"]
    assert "ended: max_tokens" in bench.scenario


def test_the_responses_api_is_scripted_whole(bench: Bench) -> None:
    def done(number: int) -> bytes:
        text = {"type": "output_text", "text": SAID[number][1], "annotations": []}
        item = {"type": "message", "id": f"msg_{number}", "role": "assistant", "content": [text], "status": "completed"}
        response = {"id": f"resp_{number}", "object": "response", "model": "m", "output": [item], "status": "completed"}
        return f"data: {json.dumps({'type': 'response.completed', 'response': response})}\n\n".encode()

    url = "https://api.openai.com/v1/responses"
    sent = [Sent(url, {"model": "m", "input": SAID[0][0], "stream": True}, done(0))]
    for number in (1, 2):
        body = {"model": "m", "input": SAID[number][0], "previous_response_id": f"resp_{number - 1}", "stream": True}
        sent.append(Sent(url, body, done(number)))

    (made,) = bench.imports(as_json(vcr(sent))).outcomes

    assert (made.state, len(made.conversation.turns)) == ("simulates", 3)
    assert "no kind of client speaks the Responses API" in made.why
    green(bench)


def test_pictures_are_left_out_and_said(bench: Bench) -> None:
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
    sent = anthropic()
    for one in sent:
        one.body["messages"][0] = {"role": "user", "content": [picture, {"type": "text", "text": SAID[0][0]}]}

    (made,) = bench.imports(as_json(vcr(sent))).outcomes

    assert made.state == "simulates"
    assert "turn 1: a picture of the user was left out" in made.notes
    assert "turn 1: a picture of the user was left out" in bench.scenario


def test_a_list_with_many_conversations_in_it(bench: Bench) -> None:
    rows = [{"messages": [*said(2, (SAID[0], SAID[n])), {"role": "assistant", "content": SAID[n][1]}]} for n in (1, 2)]
    text = lines([rows[0], {"prompt": "x"}, rows[1], {"messages": [{"role": "system", "content": "Be brief."}]}])

    made = bench.imports(text, "tuning.jsonl")

    assert [(one.conversation.where, one.title) for one in made.outcomes] == [
        ("line 1", "My name is Ada and I live in Ghent"),
        ("line 3", "My name is Ada and I live in Ghent (2)"),
    ]
    assert made.found.left_out == [
        "line 2 is no message and no list of them: '{'prompt': 'x'}'",
        "line 4: the user says nothing in it",
    ]
    green(bench)


def test_chat_tools_and_their_results_in_a_list(bench: Bench) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 15, "b": 7}'}}
    listed = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is 15 + 7?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "22"},
        {"role": "assistant", "content": "It is 22."},
    ]

    assert states(bench, as_json(listed)) == ["simulates"]
    assert "system: Be brief." in bench.scenario
    assert "input: {a: integer, b: integer}" in bench.scenario
    assert "- when: {a: 15, b: 7}\n        return: '22'" in bench.scenario


def test_a_har_file_with_server_events_of_both_apis(bench: Bench) -> None:
    made = bench.imports(as_json(har([*anthropic(), *openai()])), "both.har")

    assert [(one.state, one.client) for one in made.outcomes] == [("replays", "assistant"), ("replays", "chat")]
    assert "client: chat" in bench.scenario
    green(bench)
