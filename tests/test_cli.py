"""The command line from outside: what it prints, what it writes, how it exits."""

import json

import pytest

from convtest.version import VERSION
from tests.project import NAME, SECTION, Project


@pytest.fixture
def named(project: Project) -> Project:
    project.write("scenarios/name.yaml", NAME)
    return project


def test_help_names_every_command(project: Project) -> None:
    out = project.convtest("--help").out

    for command in ("init", "check", "record", "sweep", "probe", "show", "diff", "review", "schema"):
        assert f"  {command} " in out


def test_a_misspelt_command_gets_a_hint(project: Project) -> None:
    done = project.convtest("chekc")

    assert done.code == 2
    assert "did you mean 'check'?" in done.err


def test_init_writes_what_passes_at_once(project: Project) -> None:
    (project.root / "pyproject.toml").unlink()

    done = project.convtest("init")

    assert done.code == 0
    assert "next:    pytest scenarios" in done.out
    assert project.pytest("-p", "no:cacheprovider").counts() == {"passed": 1}
    assert project.convtest("check").code == 0
    assert "# expects the name in the request" in project.read("scenarios/first.yaml")


def test_init_keeps_what_is_there(project: Project) -> None:
    project.write("pyproject.toml", '[project]\nname = "mine"')

    project.convtest("init")
    before = project.files()
    again = project.convtest("init")

    assert project.read("pyproject.toml").startswith('[project]\nname = "mine"\n\n[tool.convtest]\n')
    assert "kept     pyproject.toml" in again.out
    assert project.files() == before


PROPOSED = """\
scenario: guessed
params: {name: [Ada, Grace]}
steps:
  - user: My name is ${name}.
    expect:
      contains: ${name}
      sent: {messages: 1}
      proposed: [contains, sent]
  - user: What is my name?
    expect:
      contains: ${name}
"""


def test_check_counts_what_is_only_proposed(project: Project) -> None:
    project.write("scenarios/guessed.yaml", PROPOSED)

    done = project.convtest("check")

    assert "scenarios/guessed.yaml:1: expectations are only proposed (lines 8)" in done.err
    assert (done.code, done.out) == (0, "items: 2, errors: 0, warnings: 1, proposed: 2\n")
    assert project.convtest("check", "--strict").code == 1
    assert json.loads(project.convtest("check", "--json").out)["proposed"] == 2
    assert project.pytest("-q").counts() == {"passed": 2}


def test_check_counts_items(named: Project) -> None:
    done = named.convtest("check")

    assert (done.code, done.out) == (0, "items: 1, errors: 0, warnings: 0\n")


def test_check_tells_everything_that_is_wrong_and_exits_2(named: Project) -> None:
    named.write("scenarios/one.yaml", "scenario: x\nsteps:\n  - usr: a\n")
    named.write("scenarios/two.yaml", "scenario: x\n")

    done = named.convtest("check")

    assert done.code == 2
    assert "error: scenarios/one.yaml:3:5: unknown key 'usr'" in done.err
    assert "error: scenarios/two.yaml:1:1: 'steps' is missing" in done.err
    assert done.out == "items: 1, errors: 2, warnings: 0\n"


def test_check_of_a_project_with_cassettes_alone_looks_for_secrets_only(project: Project) -> None:
    nothing = project.convtest("check")
    project.write("cassettes/test_it/one.yaml", f"secret: sk-ant-api03-{'aB3x' * 22}AA\n")
    leaking = project.convtest("check")

    assert (nothing.code, nothing.out, nothing.err) == (0, "items: 0, errors: 0, warnings: 0\n", "")
    assert leaking.code == 2
    assert leaking.err.startswith("error: cassettes/test_it/one.yaml:1: a secret stands here: ")


def test_check_names_a_named_folder_that_is_not_there_once(named: Project) -> None:
    section = SECTION.replace("[tool.convtest]", '[tool.convtest]\nscenarios = ["stories", "scenarios"]')
    named.write("pyproject.toml", section)

    done = named.convtest("check")

    assert done.code == 2
    assert done.err == (
        "error: there is no folder stories: see scenarios in [tool.convtest]\n"
        "more: convtest docs clients#the-configuration\n"
    )
    assert done.out == "items: 1, errors: 1, warnings: 0\n"


def test_check_warns_of_what_can_never_fail(named: Project) -> None:
    named.write("scenarios/one.yaml", "scenario: x\nsteps: [{user: hello}]\n")

    assert named.convtest("check").code == 0
    strict = named.convtest("check", "--strict", "--json")

    assert strict.code == 1
    assert json.loads(strict.out)["warnings"] == ["scenarios/one.yaml:1: nothing is expected: add expect: to a step"]


CALLS = """
    scenario: x
    sessions: {main: {}, other: {client: second}}
    steps:
      - {user: hello, simulate: [{calls: [{get_weather: {city: Ghent}}]}, {text: hi}], expect: {contains: hi}}
      - {session: other, user: hello, simulate: [{calls: [{get_weather: {}}]}, {text: hi}], expect: {contains: hi}}
    """
KINDS = """
    [tool.convtest]
    client = "first"
    [tool.convtest.clients.first]
    kind = "sse"
    url = "http://127.0.0.1:1"
    wire = "history"
    upstream = "simulator"
    FIRST
    [tool.convtest.clients.second]
    kind = "messages"
    model = "m"
    upstream = "simulator"
    SECOND
    """


@pytest.mark.parametrize(
    ("first", "second", "warned"),
    [
        ("", "", ["first", "second"]),
        ('tools = ["get_weather"]', "", ["second"]),
        ('tools = ["get_time"]', 'python_tools = ["json:get_weather"]', ["first"]),
        ('sends = {tools = {get_weather = "1"}}', 'sends = {tools = {mcp__own__get_weather = "1"}}', []),
    ],
)
def test_a_script_may_call_tools_that_the_profile_says_the_application_has(
    project: Project, first: str, second: str, warned: list[str]
) -> None:
    project.write("scenarios/x.yaml", CALLS)
    project.write("pyproject.toml", KINDS.replace("FIRST", first).replace("SECOND", second))

    done = project.convtest("check", "--json")

    lines = {"first": 5, "second": 6}
    assert json.loads(done.out)["warnings"] == [
        f"scenarios/x.yaml:{lines[one]}: simulate calls 'get_weather', which is not under tools: "
        f'(if it is the application\'s own: tools = ["get_weather"] in the profile {one!r})'
        for one in warned
    ]


def test_check_finds_a_client_that_cannot_be_made(named: Project) -> None:
    named.write("pyproject.toml", SECTION.replace('kind = "messages"', 'kind = "python"\ntarget = "nowhere:x"'))

    done = named.convtest("check")

    assert done.code == 2
    assert "cannot import 'nowhere:x'" in done.err


@pytest.mark.parametrize("arguments", [["check"], ["record"]])
def test_without_a_section_it_says_how_to_start(project: Project, arguments: list[str]) -> None:
    project.write("pyproject.toml", "")

    done = project.convtest(*arguments)

    assert done.code == 2
    assert "start with: convtest init" in done.err
    assert "Traceback" not in done.err


def test_commands_work_in_a_folder_below(named: Project) -> None:
    (named.root / "deep").mkdir()
    named.root /= "deep"

    assert named.convtest("check").out == "items: 1, errors: 0, warnings: 0\n"


def test_record_records_once_and_then_keeps(named: Project) -> None:
    first, again = named.convtest("record"), named.convtest("record")

    assert first.code == again.code == 0
    assert first.out.startswith("recorded  scenarios/name.yaml::remembers-the-name  ")
    assert "97 tokens, 0.0001 USD" in first.out
    assert first.out.endswith("\n1 recorded\n")
    assert again.out.endswith("\n1 kept\n")
    assert "\x1b" not in first.out
    assert named.pytest("--convtest-strict").counts() == {"passed": 1}


def test_record_names_a_folder_of_scenarios_that_is_not_there(named: Project) -> None:
    named.write("test_ordinary.py", "def test_ordinary(): raise SystemExit('must not run')\n")
    (named.root / "scenarios").rename(named.root / "stories")

    done = named.convtest("record")

    assert done.code == 2
    assert "there is no folder scenarios: see scenarios in [tool.convtest]" in done.err


def test_record_takes_items_and_expressions(named: Project) -> None:
    named.write("scenarios/other.yaml", NAME.replace("the name", "another name"))

    assert named.convtest("record", "-k", "another").out.endswith("\n1 recorded\n")
    assert named.convtest("record", "scenarios/name.yaml::remembers-the-name").out.endswith("\n1 recorded\n")
    typo = named.convtest("record", "-k", "nothing")
    assert typo.err == "no item matches what was named: nothing is recorded\n"
    assert typo.code == 2


def test_record_tells_a_failure_and_exits_1(named: Project) -> None:
    named.write("scenarios/name.yaml", NAME.replace("answer: Ada", "answer: Grace"))

    done = named.convtest("record")

    assert done.code == 1
    assert "failed    scenarios/name.yaml::remembers-the-name" in done.out
    assert "does not hold 'Grace'" in done.out


def test_record_never_harms_a_good_cassette(named: Project) -> None:
    named.convtest("record")
    cassette = "cassettes/name/remembers-the-name.yaml"
    before = named.read(cassette)
    named.write("scenarios/name.yaml", NAME.replace("answer: Ada", "answer: Grace"))

    done = named.convtest("record", "--mode", "all")

    assert done.code == 1
    assert named.read(cassette) == before
    assert "recorded for review: cassettes/name/remembers-the-name.yaml.new" in done.out


def test_record_of_a_broken_scenario_exits_2(named: Project) -> None:
    named.write("scenarios/name.yaml", "scenario: x\n")

    done = named.convtest("record")

    assert done.code == 2
    assert "'steps' is missing" in done.out


def test_show_is_a_readable_conversation(named: Project) -> None:
    named.convtest("record")

    done = named.convtest("show", "cassettes/name/remembers-the-name.yaml")

    assert done.out == (
        "cassettes/name/remembers-the-name.yaml: 2 interactions, main\n"
        "\n"
        "  1. main, step 1  POST https://api.anthropic.com/v1/messages\n"
        "     user         My name is Ada.\n"
        "     -> assistant    Nice to meet you, Ada.\n"
        "        0 ms |                             .    .    .    .    .    .    .| 120 ms, complete\n"
        "        status 200, complete; 7 chunks, 1246 bytes, 50 to 120 ms, events: text*5\n"
        "\n"
        "  2. main, step 2  POST https://api.anthropic.com/v1/messages\n"
        "     … as before: 2\n"
        "     user         What is my name?\n"
        "     -> assistant    You told me: Ada.\n"
        "        0 ms |                                .    .    .     .    .     .| 110 ms, complete\n"
        "        status 200, complete; 6 chunks, 1126 bytes, 50 to 110 ms, events: text*4\n"
    )


@pytest.mark.parametrize(
    "content", ["interactions: [", "a: 1\n", "interactions: [!!python/object/apply:os.getcwd []]\n"]
)
def test_show_of_a_broken_cassette_exits_2(project: Project, content: str) -> None:
    project.write("broken.yaml", content)

    done = project.convtest("show", "broken.yaml")

    assert done.code == 2
    assert "error: unreadable cassette — broken.yaml" in done.err
    assert "Traceback" not in done.err


def test_schema_is_json_schema(project: Project) -> None:
    schema = json.loads(project.convtest("schema").out)

    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert "steps" in schema["properties"]


BAD_INPUT: list[tuple[str, str | bytes]] = [
    ("malformed", "scenario: [x\n"),
    ("a key twice", "scenario: x\nscenario: y\n"),
    ("an alias bomb", "\n".join(["a: &a [x,x,x,x,x,x,x,x,x,x]", *(
        f"{chr(98 + i)}: &{chr(98 + i)} [{','.join([f'*{chr(97 + i)}'] * 10)}]" for i in range(8))])),
    ("fifty megabytes", b"#" * 50_000_000),
    ("not UTF-8", b"scenario: \xff\n"),
    ("empty", ""),
    ("a trap", "scenario: x\nsteps:\n  - user: Note: this\n"),
    ("a climbing name", "scenario: x\nid: ../../up\nsteps: [{user: a}]\n"),
]  # fmt: skip


@pytest.mark.parametrize("content", [text for _, text in BAD_INPUT], ids=[name for name, _ in BAD_INPUT])
def test_bad_input_is_one_clear_error_in_pytest_and_in_the_cli(project: Project, content: str | bytes) -> None:
    project.write("scenarios/bad.yaml", content)
    before = project.files()

    linted, played = project.convtest("check"), project.pytest("-p", "no:cacheprovider")

    assert linted.code == played.code == 2
    assert linted.err.count("error: ") == 1
    assert "error: scenarios/bad.yaml" in linted.err
    assert played.counts() == {"error": 1}
    assert "Traceback" not in linted.err + played.out
    assert project.files() == before


def test_the_console_script_is_installed() -> None:
    from importlib.metadata import entry_points

    (script,) = [one for one in entry_points(group="console_scripts") if one.name == "convtest"]
    assert script.value == "convtest.cli:main"


@pytest.mark.parametrize(
    ("said", "instead", "verdict", "headline"),
    [
        ("My name is Ada.", "My name is Eve.", "request", "the request changed (your client or your scenario)"),
        ('"text":" Ada."', '"text":" Eve."', "answer", "the answer changed (the model)"),
        ('"text_delta","text":" to"', '"text_delta","new_key":1,"text":" to"', "wire", "the wire shape changed"),
    ],
)
def test_diff_says_whose_side_changed(named: Project, said: str, instead: str, verdict: str, headline: str) -> None:
    first = "cassettes/name/remembers-the-name.yaml"
    named.convtest("record")
    text = named.read(first)
    assert said in text
    named.write("other.yaml", text.replace(said, instead))

    done = named.convtest("diff", first, "other.yaml")
    data = json.loads(named.convtest("diff", "--json", first, "other.yaml").out)

    assert done.code == 1
    assert headline in done.out
    assert {change["verdict"] for change in data["changes"]} == {verdict}


def test_diff_of_one_conversation_exits_0(named: Project) -> None:
    named.convtest("record")

    done = named.convtest("diff", *["cassettes/name/remembers-the-name.yaml"] * 2)

    assert (done.code, done.out) == (0, "the same conversation\n")


def test_diff_names_the_request_that_only_one_has(named: Project) -> None:
    first = "cassettes/name/remembers-the-name.yaml"
    named.convtest("record")
    text = named.read(first)
    named.write("other.yaml", text[: text.index("\n- request:", text.index("- request:") + 1) + 1] + "version: 1\n")

    done = named.convtest("diff", first, "other.yaml")

    assert done.code == 1
    assert done.out.startswith("main, request 2: only the first has this request\n")
    assert "  - assistant  You told me: Ada." in done.out


def test_what_a_bug_report_needs_is_one_command_away(project: Project) -> None:
    project.environment["ANTHROPIC_API_KEY"] = "sk-ant-api03-not-for-anybodys-eyes"

    plain, as_json = project.convtest("check", "--environment"), project.convtest("check", "--environment", "--json")
    project.write("pyproject.toml", "[tool.convtest]\nclients = 3\n")
    broken = project.convtest("check", "--environment")

    assert (plain.code, as_json.code, broken.code) == (0, 0, 0)
    found = json.loads(as_json.out)
    assert found["convtest"] == VERSION
    assert found["kinds of clients"] == "messages"
    assert {"python", "system", "yaml", "prices", "httpx", "vcrpy", "claude-agent-sdk", "anthropic"} <= set(found)
    assert [line.split("  ")[0] for line in plain.out.splitlines()] == list(found)
    assert "not-for-anybodys-eyes" not in plain.text + as_json.text
    assert str(project.root) not in plain.text
    assert "kinds of clients" not in broken.out
