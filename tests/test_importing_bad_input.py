"""Whatever is imported: one clear error or a line of what was left out, never a traceback, and nothing that runs."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from convtest.cassettes.naming import Names
from convtest.cassettes.scrubbing import NOTHING_KNOWN
from convtest.importing.conversation import shown
from convtest.importing.proposing import proposals_for
from convtest.importing.reading.content import NotImportable
from convtest.importing.reading.formats import found_in
from convtest.importing.scenario_text import document
from convtest.limits import Limits
from convtest.scenario.nodes import documents, plain_value
from convtest.structs import replace
from tests.imported import FORMATS, SAID, anthropic, as_json, flat_span, har, lines, otlp, ruby, said, session, vcr
from tests.importing import Bench
from tests.project import Project

HOSTILE = {
    "html": "<script>alert('x')</script> & <b>bold</b>",
    "control": "a\x1b[31mred\x07\x08\x7f b\x85c\u2028d",
    "right to left": "\u202eevil\u202c שלום עליכם \u2066x\u2069",
    "emoji": "👩‍👩‍👧‍👦 é 🏳️‍🌈 \U0001f9d1\U0001f3fd",
    "yaml": "- a: b # c\n? {x}: [y]\n---\n...\n&a *a !tag |2",
    "templates": "${name} and $${name} and {{x}} %s",
    "blanks": "  leading\n\n\n\ttabs and trailing  \n\n",
    "words": "no",
    "quotes": 'it\'s "quoted" \\ `x`',
}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def refused(bench: Bench, data: str | bytes, **more: Any) -> str:
    with pytest.raises(NotImportable) as caught:
        bench.takes(bench.put("given.json", data), **more)
    assert not bench.config.scenarios[0].exists()
    return str(caught.value)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "the file is empty"),
        (b"  \n\n", "the file is empty"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "it is no text: byte 0x89 in line 1 is no UTF-8"),
        (b"abc\x00def", "it is no text: it holds NUL bytes"),
        (b"<html><body>Sign in</body></html>", "it is a text and no data; it begins with '<html><body>Sign in"),
        (b'{"a": [1, 2', "it begins like JSON and is none"),
        (b"{" * 100_000, "it begins like JSON and is none"),
        (b"[" * 100_000 + b"]" * 100_000, "nested too deep"),
        (b"a: [b: c", "it is no JSON and no YAML"),
        (b"just words", "it is a text and no data"),
        (b'{"a": 1, "b": 2}', "no format that is known: it is JSON, an object with the keys a, b"),
        (b"[]", "no format that is known: it is JSON, an empty list"),
        (b"[1, 2, 3]", "it is JSON, a list of 3, the first the value 1"),
        (b"null", "it is a text and no data"),
        (b'{"interactions": []}', "no conversation in it"),
        (b'{"interactions": 5, "version": 1}', "a cassette that cannot be read: interactions: a list was expected"),
        (b'{"interactions": [5], "version": 1}', "a cassette that cannot be read: interaction 1"),
        (b'{"http_interactions": [{"request": 5}]}', "interaction 1 is not as Ruby's VCR writes them"),
        (b'{"log": {"entries": []}}', "a HAR file, 0 requests, and no conversation in it"),
        (b'{"log": {"entries": [{"request": 1}]}}', "entry 1 is not as HAR has them"),
        (b'{"resourceSpans": []}', "OpenTelemetry data in which no model is asked for anything"),
        (b'{"messages": [{"role": "system", "content": "x"}]}', "the user says nothing in it"),
        (b'{"type": "user", "uuid": "a", "message": {"role": "user", "content": [5]}}', "nobody said anything"),
        (b"\xff\xfe{\x00", "it is no text"),
        (gzip.compress(b"words", mtime=0), "no data"),
        (b"\x1f\x8bbroken", "no JSON and no YAML"),
    ],
)
def test_what_is_no_conversation_is_one_clear_error(bench: Bench, data: bytes, said: str) -> None:
    assert said in refused(bench, data)


def test_a_file_that_is_too_large_is_not_read(bench: Bench) -> None:
    bench.config = replace(bench.config, limits=Limits(cassette=1000))

    assert "it has 2,000 bytes, more than 1,000" in refused(bench, b" " * 2000)


def test_from_outside_an_error_is_a_line_and_exit_2(project: Project) -> None:
    project.write("from/page.json", "<html>\u202e</html>")

    done = project.convtest("import", "from/page.json")

    assert done.code == 2
    assert done.err == (
        "error: from/page.json: it is a text and no data; it begins with '<html>\\x202e</html>'\n"
        "    more: convtest docs import#formats\n"
    )


@pytest.mark.parametrize("name", HOSTILE)
def test_whatever_was_said_is_sent_as_it_was(bench: Bench, name: str) -> None:
    """By the user, the assistant, in tools and their results: the scenario says just that."""
    text = HOSTILE[name]
    call = {"type": "tool_use", "id": "t", "name": "look_up", "input": {"what": text, text: 1}}
    listed = [
        {"role": "user", "content": f"{text}1"},
        {"role": "assistant", "content": [{"type": "text", "text": f"{text}2"}, call]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": f"{text}3"}]},
        {"role": "assistant", "content": f"{text}4"},
        {"role": "user", "content": f"{text}5"},
        {"role": "assistant", "content": f"{text}6"},
    ]

    (made,) = bench.imports(as_json({"system": f"{text}0", "messages": listed})).outcomes

    assert made.state == "simulates", made.why
    (played,) = bench.plays()
    assert played.verdict.passed, played.verdict
    sent = json.loads(played.transcript.interactions[-1].request.body)
    words = json.dumps([sent["system"], sent["messages"]], ensure_ascii=False)
    assert [json.dumps(f"{text}{n}", ensure_ascii=False)[1:-1] in words for n in range(6)] == [True] * 6
    assert not [letter for letter in bench.scenario if letter in "\x1b\x07\x08\u202e\u2066\x85\u2028"]


@pytest.mark.parametrize("name", HOSTILE)
def test_whatever_stands_in_a_file_is_shown_on_one_line(bench: Bench, name: str) -> None:
    text = HOSTILE[name]
    rows = [flat_span(1), {"name": text, "attributes": {"gen_ai.system": text}, "context": {"span_id": text}}]

    made = bench.imports(as_json(rows))

    assert [one.state for one in made.outcomes] == ["simulates"]
    (line,) = made.found.left_out
    assert line.isprintable()
    assert "does not hold what was asked" in line


def test_a_megabyte_in_a_message(bench: Bench) -> None:
    """A scenario has no room for it: said, and the other conversation is there."""
    large = (("x" * 1_000_000, "Noted."),)

    made = bench.imports(as_json(vcr([*anthropic(large), *anthropic()])))

    assert [one.state for one in made.outcomes] == ["not written", "replays"]
    assert "more than the 1,000,000 a scenario may have" in made.outcomes[0].why
    assert len(list(bench.plays())) == 1


def test_half_a_megabyte_in_an_answer_and_in_a_prompt(bench: Bench) -> None:
    large = (("y" * 200_000, "x" * 300_000), SAID[0])

    assert [one.state for one in bench.imports(as_json(vcr(anthropic(large)))).outcomes] == ["replays"]
    assert [one.verdict.passed for one in bench.plays()] == [True]


def test_many_conversations_take_as_many_files_as_they_need(bench: Bench) -> None:
    large = [(("z " * 200_000 + str(n), "Noted."),) for n in range(4)]

    made = bench.imports(as_json(vcr([one for pairs in large for one in anthropic(pairs)])))

    assert [one.state for one in made.outcomes] == ["replays"] * 4
    assert [one.path.name for one in bench.done if one.outcome is None] == ["given.yaml", "given-2.yaml"]
    assert len(list(bench.plays())) == 4


def test_lines_that_were_cut_off_are_said(bench: Bench) -> None:
    made = bench.imports(lines(session()) + '{"type": "user", "uu', "session.jsonl")

    assert [one.state for one in made.outcomes] == ["simulates"]
    assert made.found.left_out == ["line 8 is no JSON: it was cut off, or is no line of this file"]


def test_a_cassette_that_was_cut_off_is_refused(bench: Bench) -> None:
    text = FORMATS["cassette.yaml"][1]

    for share in (0.3, 0.6, 0.9):
        assert refused(bench, text[: int(len(text) * share)])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
WHOLE = {
    "vcr": vcr(anthropic()),
    "ruby": ruby(anthropic()),
    "har": har(anthropic()),
    "otlp": otlp([flat_span(1), flat_span(2)]),
    "spans": [flat_span(1), flat_span(2)],
    "session": session(),
    "list": said(),
    "body": {"model": "m", "tools": [{"name": "f", "input_schema": {"type": "object"}}], "messages": said()},
}


def places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    inner = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, one in inner:
        found += places(one, (*path, key))
    return found


def changed(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    made = dict(data) if isinstance(data, dict) else list(data)
    made[path[0]] = changed(data[path[0]], path[1:], value)
    return made


def said_of(bench: Bench, path: Path) -> list[str]:
    """What a person reads."""
    try:
        found = found_in(path, path.name, Names(NOTHING_KNOWN), 10_000_000)
    except NotImportable as error:
        return str(error).splitlines()
    for made in found.conversations:
        assert proposals_for(made, 0, scripted=True)
    return [*found.left_out, *(note for made in found.conversations for note in made.notes)]


def test_a_method_that_steers_a_terminal_is_shown_by_its_letters(tmp_path: Path) -> None:
    broken = changed(WHOLE["ruby"], ("http_interactions", 1, "request", "method"), "\x1b[2J")
    bench = Bench(tmp_path)

    told = said_of(bench, bench.put("ruby.json", json.dumps(broken)))

    assert "request 2: \\x1b[2J api.anthropic.com/v1/messages asks no model in an API that is known" in told


@pytest.mark.parametrize("name", WHOLE)
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_value_in_any_place_is_imported_or_refused(tmp_path: Path, name: str, data: st.DataObject) -> None:
    """Wrong types, missing fields, other depths; in bodies, which are JSON in a text, too."""
    broken = WHOLE[name]
    for _ in range(data.draw(st.integers(1, 3))):
        broken = changed(broken, data.draw(st.sampled_from(places(broken))), data.draw(JSON))
    bench = Bench(tmp_path)
    text = json.dumps(broken) if name != "session" or not isinstance(broken, list) else lines(broken)

    told = said_of(bench, bench.put(f"{name}.json", text))

    assert all(line.isprintable() for line in told)


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=6),
        st.recursive(
            st.text() | st.integers() | st.booleans() | st.none(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
            max_leaves=8,
        ),
        min_size=1,
        max_size=4,
    )
)
@example({"<<": {"<<": 1}})
@example({"x": {"a,": None, "b: c": "d"}})
@example({"x": [{"a key of more than forty letters, which is a sentence": 1}]})
def test_what_is_written_is_read_as_it_was(data: dict[str, Any]) -> None:
    (node,) = documents(document(data), "x.yaml")

    assert plain_value(node) == data


@given(st.text())
def test_what_is_shown_can_be_printed(text: str) -> None:
    assert shown(text).isprintable()
    assert len(shown(text)) <= 60 * 10
