"""What `convtest show` and `convtest diff` make of any recording: no traceback, and never "the same" of what is not."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convtest.cli import group

URLS = (
    "https://api.anthropic.com/v1/messages",
    "https://api.openai.com/v1/chat/completions",
    "https://api.openai.com/v1/responses",
    "https://elsewhere.example/v1/anything",
)
KEYS = st.sampled_from(
    [
        "type", "message", "content", "content_block", "index", "delta", "text", "choices", "tool_calls", "function",
        "arguments", "name", "input", "output", "item", "response", "usage", "output_tokens", "stop_reason", "id",
        "finish_reason", "error", "role", "encrypted_content", "partial_json", "messages", "system", "tools",
        "thinking", "signature", "reasoning", "status", "call_id", "previous_response_id", "conversation",
    ]
)  # fmt: skip
WORDS = st.sampled_from(
    [
        "message_start", "message_delta", "message_stop", "content_block_start", "content_block_delta",
        "content_block_stop", "text", "text_delta", "input_json_delta", "citations_delta", "thinking", "tool_use",
        "tool_result", "message", "function_call", "web_search_call", "reasoning", "response.completed",
        "response.output_text.delta", "user", "assistant", "tool", "[DONE]", "{", "",
    ]
)  # fmt: skip
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=6), WORDS)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=5)),
    max_leaves=14,
)
BLOCKS = st.lists(st.one_of(JSON, st.fixed_dictionaries({"type": WORDS}, optional={"text": JSON, "input": JSON})))
ANSWER = st.one_of(
    JSON,
    st.fixed_dictionaries({"content": st.one_of(BLOCKS, JSON)}, optional={"usage": JSON, "stop_reason": JSON}),
    st.fixed_dictionaries({"choices": st.lists(JSON | st.fixed_dictionaries({"message": JSON}), max_size=2)}),
    st.fixed_dictionaries({"output": st.lists(JSON | st.fixed_dictionaries({"content": JSON}), max_size=2)}),
)
EVENT = st.one_of(
    JSON,
    st.fixed_dictionaries(
        {"type": WORDS},
        optional=dict.fromkeys(
            ("message", "content_block", "index", "delta", "usage", "error", "response", "item", "choices"), JSON
        ),
    ),
)
ASKED = st.one_of(
    JSON,
    st.fixed_dictionaries({"messages": JSON}, optional={"system": JSON, "tools": JSON, "input": JSON}),
)


@st.composite
def interactions(draw: st.DrawFn) -> dict[str, Any]:
    streams = draw(st.booleans())
    answer = draw(st.lists(EVENT, max_size=4)) if streams else draw(ANSWER)
    body = "".join(f"data: {json.dumps(one)}\n\n" for one in answer) if streams else json.dumps(answer)
    kind = "text/event-stream" if streams else "application/json"
    return {
        "request": {
            "method": "POST",
            "uri": draw(st.sampled_from(URLS)),
            "body": json.dumps(draw(ASKED)),
            "headers": {},
        },
        "response": {
            "status": {"code": 200, "message": "OK"},
            "headers": {"content-type": [kind]},
            "body": {"string": body},
        },
    }


CASSETTES = st.lists(interactions(), max_size=3).map(lambda found: {"interactions": found, "version": 1})


def written(path: Path, cassette: Any) -> str:
    path.write_text(yaml.safe_dump(cassette, allow_unicode=True))
    return str(path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(one=CASSETTES, other=CASSETTES)
def test_law_any_json_is_shown_and_compared(tmp_path: Path, one: Any, other: Any) -> None:
    first, second = written(tmp_path / "one.yaml", one), written(tmp_path / "other.yaml", other)
    runner = CliRunner()

    shown = runner.invoke(group, ["show", first, second], catch_exceptions=False)
    compared = runner.invoke(group, ["diff", first, second], catch_exceptions=False)
    alike = runner.invoke(group, ["diff", first, first], catch_exceptions=False)

    assert shown.exit_code == 0
    assert compared.exit_code in (0, 1)
    assert (compared.exit_code == 0) == compared.output.startswith("the same conversation")
    assert (alike.exit_code, alike.output) == (0, "the same conversation\n")


def asked(**more: Any) -> dict[str, Any]:
    """One interaction as plain vcrpy keeps it."""
    body = {"id": "msg_1", "content": [{"type": "text", "text": "Hello."}], "usage": {"output_tokens": 3}}
    return {
        "request": {
            "method": "POST",
            "uri": URLS[0],
            "body": json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hi."}]}),
            "headers": {"user-agent": ["mine/1"]},
        },
        "response": {
            "status": {"code": 200, "message": "OK"},
            "headers": {"date": ["Mon"], "content-type": ["application/json"], "x": ["1"]},
            "body": {"string": json.dumps(body)},
            "x-convtest": {"sent": 1, "lane": "main", "chunks": f"10:50 20:{len(json.dumps(body)) - 50}"},
        },
        **more,
    }


def put(data: Any, path: str, value: Any) -> Any:
    """A copy with another value at `response.status.code`."""
    made = copy.deepcopy(data)
    at = made
    *way, last = path.split("/")
    for key in way:
        at = at[key]
    at[last] = value
    return made


def compare(tmp_path: Path, one: Any, other: Any) -> tuple[int, dict[str, Any], str]:
    paths = [
        written(tmp_path / f"{name}.yaml", {"interactions": rows, "version": 1})
        for name, rows in (("one", one), ("other", other))
    ]
    plain, as_json = (
        CliRunner().invoke(group, ["diff", *more, *paths], catch_exceptions=False) for more in ([], ["--json"])
    )
    return plain.exit_code, json.loads(as_json.output), plain.output


ANEW = [
    ("response/headers/date", ["Tue"], "times"),
    ("response/headers/anthropic-ratelimit-requests-remaining", ["4"], "limits"),
    ("response/x-convtest/first_byte", "33", "times"),
    ("response/body/string", json.dumps({**json.loads(asked()["response"]["body"]["string"]), "id": "msg_2"}), "ids"),
]


@pytest.mark.parametrize(("path", "value", "kind"), ANEW, ids=[one[2] + one[0].rpartition("/")[2] for one in ANEW])
def test_what_each_run_has_anew_is_named_and_no_change(tmp_path: Path, path: str, value: Any, kind: str) -> None:
    before = asked() if path.split("/")[1] == "body" else put(asked(), path, ["9"] if isinstance(value, list) else "9")
    code, data, out = compare(tmp_path, [before], [put(asked(), path, value)])

    assert (code, data["changes"], data["anew"]) == (0, [], [kind])
    assert out == f"the same conversation, but for {kind}\n"


REST = [
    ("request/headers/user-agent", ["mine/2"]),
    ("request/headers/anthropic-beta", ["new"]),
    ("response/headers/x", ["2"]),
    ("response/status/message", "Fine"),
    ("response/x-convtest/chunks", "10:60 20:90"),
    ("response/x-convtest/digest", "abc"),
    ("response/x-convtest/turn", 2),
    ("response/parsed", {"a": 1}),
    ("recorded_by", "somebody"),
]


@pytest.mark.parametrize(("path", "value"), REST, ids=[path for path, _ in REST])
def test_files_that_differ_in_anything_else_are_never_called_the_same(tmp_path: Path, path: str, value: Any) -> None:
    code, data, out = compare(tmp_path, [asked()], [put(asked(), path, value)])

    assert code == 1
    assert [one["verdict"] for one in data["changes"]] == ["rest"]
    assert "something else changed (nothing that was asked or answered)" in out
    assert path.rpartition("/")[2].replace("chunks", "cut into") in out


def test_counts_of_tokens_and_cache_markers_are_something_else(tmp_path: Path) -> None:
    answer = json.loads(asked()["response"]["body"]["string"])
    counted = put(asked(), "response/body/string", json.dumps({**answer, "usage": {"output_tokens": 4}}))
    cached = {"role": "user", "content": [{"type": "text", "text": "Hi.", "cache_control": {"type": "ephemeral"}}]}
    marked = put(asked(), "request/body", json.dumps({"model": "m", "messages": [cached]}))

    for other in (counted, marked):
        code, data, _ = compare(tmp_path, [asked()], [other])
        assert (code, [one["verdict"] for one in data["changes"]]) == (1, ["rest"])


def test_another_order_of_sessions_is_something_else_though_each_says_the_same(tmp_path: Path) -> None:
    one, other = (put(put(asked(), "response/x-convtest/lane", lane), "response/x-convtest/sent", n)
                  for n, lane in ((1, "alice"), (2, "bob")))  # fmt: skip
    turned = [put(other, "response/x-convtest/sent", 1), put(one, "response/x-convtest/sent", 2)]

    code, data, out = compare(tmp_path, [one, other], turned)

    assert (code, [one["verdict"] for one in data["changes"]]) == (1, ["rest"])
    assert "the file: something else changed" in out


LEAVES = st.one_of(st.integers(), st.text(max_size=5), st.none())


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cassette=CASSETTES, value=LEAVES, where=st.data())
def test_law_one_other_leaf_anywhere_is_never_the_same(tmp_path: Path, cassette: Any, value: Any, where: Any) -> None:
    """Whatever key has another value: the two are only called the same where its name says that it is new each run."""
    rows = cassette["interactions"]
    index = where.draw(st.integers(0, max(0, len(rows) - 1)))
    name = where.draw(st.sampled_from(["note", "code", "lane", "parsed"]))
    other = copy.deepcopy(rows)
    if other:
        other[index]["response"][name] = value

    code, data, _ = compare(tmp_path, rows, other)

    assert (code == 1) == bool(other)
    assert bool(data["changes"]) == bool(other)
