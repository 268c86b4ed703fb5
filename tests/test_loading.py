"""The scenario language: what loads, what is refused, and where the message points."""

from pathlib import Path
from textwrap import dedent

import pytest
import yaml

from convtest.errors import ScenarioError
from convtest.scenario import nodes
from convtest.scenario.loader import load
from convtest.scenario.model import Act, Disturbance, Scenario, Turn

CLIENTS = ("assistant", "claude")
REPOSITORY = Path(__file__).parent.parent


def loaded(tmp_path: Path, text: str | bytes) -> list[Scenario]:
    path = tmp_path / "talk.yaml"
    path.write_bytes(text if isinstance(text, bytes) else dedent(text).encode())
    return load(path, shown="talk.yaml", default_client="assistant", clients=CLIENTS)


def refused(tmp_path: Path, text: str | bytes) -> str:
    with pytest.raises(ScenarioError) as caught:
        loaded(tmp_path, text)
    return str(caught.value)


def test_the_smallest_scenario(tmp_path: Path) -> None:
    (scenario,) = loaded(
        tmp_path,
        """\
        scenario: Remembers the name!
        steps:
          - user: My name is Ada.
          - user: What is my name?
            expect: {contains: Ada}
        """,
    )

    assert scenario.id == scenario.name == "remembers-the-name"
    assert [step.label for step in scenario.steps] == ["user: My name is Ada.", "user: What is my name?"]
    assert scenario.steps[1].session == "main"
    assert scenario.steps[1].place_of("expect", "contains").line == 5
    assert scenario.client == "assistant"


def test_params_make_their_product_and_readable_names(tmp_path: Path) -> None:
    scenarios = loaded(
        tmp_path,
        """\
        scenario: many
        params:
          name: [Ada, Björn]
          count: [1, 2]
        steps:
          - user: I am ${name}, ${count} of us, $${name} stays.
        """,
    )

    assert [one.name for one in scenarios] == ["many[Ada-1]", "many[Ada-2]", "many[Björn-1]", "many[Björn-2]"]
    assert scenarios[3].steps[0].label == "user: I am Björn, 2 of us, ${name} stays."


def test_params_may_be_rows(tmp_path: Path) -> None:
    scenarios = loaded(
        tmp_path,
        """\
        scenario: rows
        params:
          - {name: Ada, city: Ghent}
          - {name: Bob, city: Oslo}
        steps:
          - user: ${name} lives in ${city}.
        """,
    )

    assert [one.steps[0].label for one in scenarios] == ["user: Ada lives in Ghent.", "user: Bob lives in Oslo."]


def test_rows_that_are_no_file_names_get_a_hash(tmp_path: Path) -> None:
    scenarios = loaded(
        tmp_path,
        """\
        scenario: rows
        params: {path: [a/b, A-b, a-b, ../../etc]}
        steps: [{user: "${path}"}]
        """,
    )

    names = [one.row for one in scenarios]
    assert len({name.casefold() for name in names}) == 4
    assert all(("/" not in name and not name.startswith("..")) or name.startswith("..-") for name in names)
    assert names[0].startswith("a-b-")


def test_a_param_keeps_its_type_where_the_value_is_the_template_alone(tmp_path: Path) -> None:
    (scenario,) = loaded(
        tmp_path,
        """\
        scenario: typed
        params: {t: [0.5]}
        options:
          temperature: ${t}
          note: "${t}"
        steps:
          - user: hello
        """,
    )

    assert scenario.options == {"temperature": 0.5, "note": "0.5"}


def test_clients_are_an_axis_like_params(tmp_path: Path) -> None:
    scenarios = loaded(tmp_path, "scenario: both\nclient: [assistant, claude]\nsteps: [{user: hello}]\n")

    assert [one.name for one in scenarios] == ["both", "both@claude"]


def test_several_scenarios_in_a_file(tmp_path: Path) -> None:
    text = "scenario: one\nsteps: [{user: a}]\n---\nscenario: two\nsteps: [{user: b}]\n---\n"

    assert [one.title for one in loaded(tmp_path, text)] == ["one", "two"]


def test_repeat_counts_with_n(tmp_path: Path) -> None:
    (scenario,) = loaded(
        tmp_path,
        """\
        scenario: again
        steps:
          - repeat: 3
            steps:
              - user: Number ${n}.
          - user: Done.
        """,
    )

    assert [step.label for step in scenario.steps] == [
        "user: Number 1.",
        "user: Number 2.",
        "user: Number 3.",
        "user: Done.",
    ]
    assert [step.index for step in scenario.steps] == [1, 2, 3, 4]


def test_tell_takes_the_next_value_the_second_time(tmp_path: Path) -> None:
    (scenario,) = loaded(
        tmp_path,
        """\
        scenario: moves
        facts:
          city:
            tell: I live in Ghent.
            ask: Where?
            answer: Ghent
            then: [{tell: I moved to Oslo., answer: Oslo}]
        steps:
          - tell: city
          - tell: city
          - tell: city
        """,
    )

    told = [step.tells for step in scenario.steps if isinstance(step, Turn)]
    assert told == [("city", 0), ("city", 1), ("city", 1)]


def test_ask_expects_to_know_unless_it_is_told_otherwise(tmp_path: Path) -> None:
    (scenario,) = loaded(
        tmp_path,
        """\
        scenario: asks
        facts:
          who: {tell: My name is Ada., ask: What is my name?, answer: Ada}
        steps:
          - tell: who
          - ask: who
          - ask: who
            expect: {contains: Ada}
          - ask: who
            expect:
              not: {knows: who}
        """,
    )

    expectations = [step.expect for step in scenario.steps[1:]]
    assert [one.knows if one else None for one in expectations] == ["who", ["who"], None]


def test_short_forms_and_acts(tmp_path: Path) -> None:
    (scenario,) = loaded(
        tmp_path,
        """\
        scenario: acts
        sessions: {alice: {}}
        timeout: 250ms
        steps:
          - user: hello
            id: first
            disturb: [{do: interrupt, at: text}]
            interrupt: {after: 3}
          - fork: alice
            as: other
            at: first
          - resume: lost
            session_id: abc
        """,
    )

    turn, fork, resume = scenario.steps
    assert isinstance(turn, Turn)
    assert turn.disturbances == (Disturbance(at="text"), Disturbance(after=3))
    assert isinstance(fork, Act)
    assert (fork.session, fork.target, fork.at) == ("other", "alice", 1)
    assert isinstance(resume, Act)
    assert resume.session_id == "abc"
    assert scenario.timeout == 0.25


@pytest.mark.parametrize("word", ["no", "on", "1:20", "yes", "012", "0x1F", "1_000", "2026-11-20", "~x"])
def test_words_stay_text_where_text_is_meant(tmp_path: Path, word: str) -> None:
    (scenario,) = loaded(tmp_path, f"scenario: words\nsteps:\n  - user: {word}\n")

    assert scenario.steps[0].label == f"user: {word}"


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("1:20", "1:20"),
        ("true", True),
        ("012", 12),
        ("0o14", 12),
        ("0x1F", 31),
        ("1e3", 1000.0),
        ("null", None),
        ("'18'", "18"),
        ("[1, .5]", [1, 0.5]),
    ],
)
def test_values_follow_the_core_schema_of_yaml_1_2(tmp_path: Path, written: str, value: object) -> None:
    (scenario,) = loaded(tmp_path, f"scenario: values\noptions: {{a: {written}}}\nsteps: [{{user: x}}]\n")

    assert scenario.options["a"] == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "talk.yaml: the file is empty"),
        ("# only a comment\n", "talk.yaml: the file is empty"),
        ("- a\n- b\n", "talk.yaml:1:1: a scenario is a mapping"),
        ("scenario: x\nsteps:\n  - user: Note: this\n", "talk.yaml:3:15: a colon and a space inside plain text"),
        *(
            (f"scenario: x\nsteps:\n  - user: a\n    {key}: {value}\n", f"got {seen}\n    write {{{meant}: {value}}}")
            for key, value, seen, meant in (
                ("interrupt", "3", "'3'", "after"),
                ("interrupt", "text", "'text'", "at"),
                ("fault", "529", "'529'", "status"),
                ("fault", "reset", "'reset'", "do"),
                ("disturb", "kill", "'kill'", "do"),
                ("simulate", "Hello", "'Hello'", "text"),
                ("expect", '"105, or so"', "'105, or so'", "contains"),
            )
        ),
        ("scenario: x\nsteps:\n  - user: a\n    fault: nonsense\n", "got 'nonsense'"),
        (
            "scenario: x\nsteps:\n  - user: a\n      id: first\n",
            "talk.yaml:4:9: 'id' is indented deeper than the text before it, and so goes on with it\n    indent it as",
        ),
        ("scenario: x\nsteps:\n  - {user: Yes, it is}\n", "talk.yaml:3:17: the comma before 'it is' ended the text"),
        ("scenario: x\nsteps:\n  - user: #1 rule\n", "talk.yaml:3:10: 'user' is empty"),
        ("scenario: x\nsteps: [{user: a, expect: {contains: ${n}}}]\n", "${…} inside {…} needs quotes"),
        ("scenario: x\nsteps: [{user: a}]\nscenario: y\n", "talk.yaml:3:1: the key 'scenario' stands here twice"),
        ("scenario: x\nsteps:\n\t- user: a\n", "talk.yaml:3:1: a tab cannot indent YAML"),
        ("scenario: x\nsteps: [{user: a}\n", "malformed YAML"),
        ("scenario: x\n", "'steps' is missing"),
        ("scenario: x\nsteps: []\n", "there are no steps"),
        ("scenario: x\nfacts: {f: {tell: ' ', ask: a, answer: b}}\nsteps: [{tell: f}]\n", "the message is blank"),
        ("scenario: x\nstps: [{user: a}]\nsteps: [{user: b}]\n", "unknown key 'stps'\n    did you mean 'steps'?"),
        ("scenario: x\nsteps: [{user: a, tell: b}]\n", "what does this step do? found user and tell"),
        ("scenario: x\nsteps: [{id: b}]\n", "what does this step do? found none"),
        ("scenario: x\nsteps: [{ask: naem}]\n", "unknown fact 'naem'\n    declare it under facts:"),
        ("scenario: x\nsteps: [{user: a, session: bob}]\n", "there is no session 'bob' here"),
        (
            "scenario: x\nsessions: {alice: {}}\nsteps: [{user: a, session: alcie}]\n",
            "there is no session 'alcie' here\n    did you mean 'alice'?",
        ),
        (
            "scenario: x\nclient: asistant\nsteps: [{user: a}]\n",
            "unknown client 'asistant'\n    did you mean 'assistant'?",
        ),
        (
            "scenario: x\nxfail: {check: contians, because: y}\nsteps: [{user: a}]\n",
            "talk.yaml:2:9: unknown check 'contians'\n    did you mean 'contains'?",
        ),
        (
            "scenario: x\ninvariants: {skip: [mas], because: y}\nsteps: [{user: a}]\n",
            "unknown invariant 'mas'\n    did you mean 'mass'?",
        ),
        ("scenario: x\nsteps: [{user: a, expect: {ended: completed}}]\n", "did you mean 'complete'?"),
        ("scenario: x\nsteps: [{user: '${who}'}]\n", "${who} is not declared"),
        ("scenario: x\ntags: [skip]\nsteps: [{user: a}]\n", "the tag 'skip' is one of pytest's own marks"),
        ("scenario: x\ntags: [two words]\nsteps: [{user: a}]\n", "the tag 'two words' is not a plain word"),
        ("scenario: x\nid: ../up\nsteps: [{user: a}]\n", "the id '../up' cannot name a file"),
        ("scenario: x\nfiles: {../up: a}\nsteps: [{user: a}]\n", "'../up' lies outside the workspace"),
        ("scenario: x\nfiles: {/etc/x: a}\nsteps: [{user: a}]\n", "'/etc/x' lies outside the workspace"),
        ("scenario: x\ntimeout: soon\nsteps: [{user: a}]\n", "'soon' is not a duration"),
        ("scenario: x\nsteps: [{user: a, interrupt: {}}]\n", "interrupt needs either after: or at:"),
        ("scenario: x\nsteps: [{user: a, interrupt: {after: -1}}]\n", "after: counts events, from 0"),
        ("scenario: x\nsteps: [{user: a}, {restore: main}]\n", "nothing is saved under 'main'"),
        ("scenario: x\nsteps: [{user: a}, {fork: main}]\n", "fork needs as:"),
        ("scenario: x\nsteps: [{user: a}, {clear: main, as: b}]\n", "'as' does not belong to 'clear'"),
        ("scenario: x\nsteps: [{repeat: 0, steps: [{user: a}]}]\n", "repeat needs a number of at least 1"),
        ("scenario: x\nsteps: [{repeat: 2}]\n", "repeat needs steps:"),
        ("scenario: x\nsteps: [{user: a, expect: {matches: '('}}]\n", "not a regular expression"),
        ("scenario: x\nsteps: [{user: a, expect: {check: nowhere}}]\n", "is not module:function"),
        ("scenario: x\nsteps: [{user: a, id: i}, {user: b, id: i}]\n", "another step has the id 'i'"),
        (
            "scenario: x\nsteps: [{user: a}]\n---\nscenario: X\nsteps: [{user: a}]\n",
            "another item of this file is named 'x'",
        ),
        ("scenario: x\nsteps: [{user: a, expect: {contains: {}}}]\n", "expected text or a list, got a mapping"),
        ("scenario: x\nparams: {n: [1]}\nsteps: [{user: a}]\n", "a param cannot be called 'n'"),
        ("scenario: x\nparams: 3\nsteps: [{user: a}]\n", "params is a mapping of lists"),
        (
            "a: !!python/object/apply:os.system [ls]\n",
            "the tag 'tag:yaml.org,2002:python/object/apply:os.system' is not",
        ),
        ("a: *nothing\n", "the alias *nothing names nothing"),
        ("? [a]\n: b\n", "a key must be a word"),
        ("<<: {a: b}\n", "merge keys"),
        ("[" * 300, "nested deeper than 60 levels"),
        ("{a: " * 300, "nested deeper than 60 levels"),
    ],
)
def test_refused_with_its_place_in_our_own_words(tmp_path: Path, text: str, message: str) -> None:
    assert message in refused(tmp_path, text)


def test_simulate_on_a_turn_that_knows_would_answer_for_the_client(tmp_path: Path) -> None:
    text = """\
        scenario: x
        facts:
          who: {tell: My name is Ada., ask: What is my name?, answer: Ada}
        steps:
          - ask: who
            simulate: {text: Ada}
        """

    assert "simulate on a turn that knows something" in refused(tmp_path, text)


def test_prose_is_not_judged(tmp_path: Path) -> None:
    assert "unknown key 'similar'" in refused(tmp_path, "scenario: x\nsteps: [{user: a, expect: {similar: b}}]\n")


def test_all_problems_of_a_file_are_told_in_its_order(tmp_path: Path) -> None:
    text = "scenario: x\nsteps:\n  - usr: a\n  - user: b\n    expect: {contians: c}\n"
    text += "---\nscenario: y\nstep: []\nsteps: []\n"

    lines = [line for line in refused(tmp_path, text).splitlines() if line.startswith("talk")]

    assert [line.split(":")[1] for line in lines] == ["3", "5", "8"]


def test_an_alias_bomb_is_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]

    assert "aliases counted each time they stand" in refused(tmp_path, "\n".join(lines))


def test_a_repeat_bomb_is_refused(tmp_path: Path) -> None:
    text = "scenario: x\nsteps: [{repeat: 99999, steps: [{repeat: 99999, steps: [{user: a}]}]}]\n"

    assert "repeat makes more than" in refused(tmp_path, text)


def test_fifty_megabytes_are_refused_unread(tmp_path: Path) -> None:
    assert "the file has 50,000,000 bytes" in refused(tmp_path, b"#" * 50_000_000)


def test_bytes_that_are_not_utf_8_are_refused_with_their_place(tmp_path: Path) -> None:
    assert "talk.yaml:2:7: byte 0xe9 is not UTF-8" in refused(tmp_path, b"a: b\nname: \xe9\n")


def test_warnings(tmp_path: Path) -> None:
    text = """\
        scenario: nothing expected
        facts:
          who: {tell: My name is Ada., ask: What is my name?, answer: Ada}
        steps:
          - user: hello
        ---
        scenario: never told
        facts:
          who: {tell: My name is Ada., ask: What is my name?, answer: Ada}
        steps:
          - ask: who
        """

    one, two = loaded(tmp_path, text)

    assert one.warnings == ("talk.yaml:1: nothing is expected: add expect: to a step",)
    assert two.warnings == ("talk.yaml:11: 'who' is asked for and never told",)


def test_ruamel_loads_what_libyaml_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [*sorted((REPOSITORY / "scenarios").glob("*.yaml")), REPOSITORY / "convtest" / "probe" / "conformance.yaml"]
    texts = {path: path.read_text() for path in paths if "two-hundred" not in path.read_text()}
    with_libyaml = {path: nodes.documents(text, path.name) for path, text in texts.items()}
    monkeypatch.setattr(yaml, "__with_libyaml__", False)

    assert {path: nodes.documents(text, path.name) for path, text in texts.items()} == with_libyaml
    with pytest.raises(ScenarioError, match=r"x:1:\d: a colon and a space"):
        nodes.documents("a: b: c\n", "x")
