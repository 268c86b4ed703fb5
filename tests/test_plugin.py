"""Scenarios under real pytest, from outside: collection, outcomes, options, other plugins."""

import json
import xml.etree.ElementTree as ElementTree

import pytest

from tests.project import NAME, SECTION, Project

TWO = """\
scenario: adds
id: adds
tags: [maths]
steps:
  - user: What is 1 + 1?
    expect: {contains: "2"}
---
scenario: greets
id: greets
params: {who: [Ada, Björn]}
tags: [smoke]
steps:
  - user: My name is ${who}.
    expect: {contains: "${who}"}
"""
REAL = SECTION.replace('upstream = "simulator"', 'upstream = "https://api.anthropic.com"')


@pytest.fixture
def two(project: Project) -> Project:
    project.write("scenarios/two.yaml", TWO)
    return project


def test_items_have_readable_ids(two: Project) -> None:
    out = two.pytest("--collect-only", "-q").out

    assert out.splitlines()[:3] == [
        "scenarios/two.yaml::adds",
        "scenarios/two.yaml::greets[Ada]",
        "scenarios/two.yaml::greets[Björn]",
    ]


def test_scenarios_are_collected_beside_testpaths(two: Project) -> None:
    two.write("pyproject.toml", SECTION + 'testpaths = ["tests"]\n')
    two.write("tests/test_x.py", "def test_x(): pass\n")

    assert two.pytest().counts() == {"passed": 4}
    assert two.pytest("tests").counts() == {"passed": 1}
    assert two.pytest("scenarios/two.yaml").counts() == {"passed": 3}


def test_other_yaml_files_are_left_alone(two: Project) -> None:
    two.write("docs/other.yaml", "not: a scenario\n")
    two.write("cassettes/kept.yaml", "interactions: []\n")

    assert two.pytest().counts() == {"passed": 3}


def test_a_file_outside_the_scenario_root_is_collected_when_it_is_named(two: Project) -> None:
    two.write("elsewhere/more.yaml", NAME)

    assert two.pytest("elsewhere/more.yaml").counts() == {"passed": 1}


def test_without_a_section_nothing_is_collected(two: Project) -> None:
    two.write("pyproject.toml", "[tool.pytest.ini_options]\n")

    assert two.pytest("scenarios").code == 5


def test_k_and_m_and_node_ids_select(two: Project) -> None:
    assert two.pytest("-k", "adds").counts() == {"passed": 1, "deselected": 2}
    assert two.pytest("-k", "greets and Ada").counts() == {"passed": 1, "deselected": 2}
    assert two.pytest("-m", "smoke", "--strict-markers").counts() == {"passed": 2, "deselected": 1}
    assert two.pytest("scenarios/two.yaml::greets[Björn]").counts() == {"passed": 1}


def test_tags_are_registered_marks(two: Project) -> None:
    out = two.pytest("--markers").out

    assert "@pytest.mark.smoke: a tag of convtest scenarios" in out
    assert "@pytest.mark.live:" in out


def test_xdist_plays_items_in_parallel_and_counts_them_once(two: Project) -> None:
    done = two.pytest("-n", "2")

    assert done.counts() == {"passed": 3}
    assert "convtest: 3 simulated" in done.out


def test_junit_tells_failures_from_errors(two: Project) -> None:
    two.write("scenarios/bad.yaml", 'scenario: wrong\nsteps: [{user: hello, expect: {contains: "nowhere"}}]\n')
    two.write("scenarios/err.yaml", "scenario: broken\noptions: {modell: x}\nsteps: [{user: hello}]\n")

    done = two.pytest("--junitxml=out.xml")

    suite = next(ElementTree.fromstring(two.read("out.xml")).iter("testsuite"))
    assert done.counts() == {"passed": 3, "failed": 1, "error": 1}
    assert (suite.get("failures"), suite.get("errors"), suite.get("tests")) == ("1", "1", "5")
    properties = {one.get("name"): one.get("value") for one in suite.iter("property")}
    assert json.loads(properties["convtest"] or "")["source"] == "simulated"


def test_lf_runs_what_failed(project: Project) -> None:
    project.write("pyproject.toml", SECTION.replace('"-p", "no:cacheprovider"', ""))
    project.write("scenarios/two.yaml", TWO.replace('contains: "2"', 'contains: "3"'))

    project.pytest()

    done = project.pytest("--lf")
    assert done.counts() == {"failed": 1}


def test_a_failure_shows_the_conversation_and_what_to_do(project: Project) -> None:
    project.write("scenarios/name.yaml", NAME.replace("answer: Ada", "answer: Grace"))

    out = project.pytest().out

    assert "scenarios/name.yaml:1: remembers the name (simulated)" in out
    assert "the client sent something else than it should (layer wire)" in out
    assert "     1  user       My name is Ada." in out
    assert " >   2  user       What is my name?" in out
    assert "knows  layer wire  scenarios/name.yaml:10, step 2, session main" in out
    assert "expected  'Grace' in the request" in out
    assert "run just this item: pytest scenarios/name.yaml::remembers-the-name" in out
    assert "Traceback" not in out
    assert "items.py" not in out


@pytest.mark.parametrize("arguments", [[], ["-n", "2"], ["--tb=line"], ["-v"], ["--tb=short"]])
def test_the_summary_has_one_line_for_a_failure_even_on_ci(project: Project, arguments: list[str]) -> None:
    project.write("scenarios/name.yaml", NAME.replace("answer: Ada", "answer: Grace"))
    project.environment = {"CI": "true"}

    out = project.pytest("-rA", *arguments).out

    line = "knows (layer wire): the request does not hold 'Grace', the current value of who"
    assert f"FAILED scenarios/name.yaml::remembers-the-name - {line}\n" in out
    # Older pytests keep to one line for a whole failure where that is asked for.
    is_line = arguments == ["--tb=line"] and pytest.version_tuple < (9,)
    assert out.count("run just this item") == (0 if is_line else 1)


def test_the_command_in_a_failure_runs_just_that_item(project: Project) -> None:
    project.write("scenarios/two.yaml", TWO.replace('contains: "${who}"', 'contains: "Nobody"'))
    line = next(line for line in project.pytest().out.splitlines() if "run just this item" in line and "Björn" in line)

    node = line.split("pytest ")[1].strip("'")

    assert project.pytest(node).counts() == {"failed": 1}


def test_a_broken_scenario_is_an_error_at_collection(project: Project) -> None:
    project.write("scenarios/name.yaml", "scenario: x\nsteps:\n  - usr: hello\n")

    done = project.pytest()

    assert done.code == 2
    assert "scenarios/name.yaml:3:5: unknown key 'usr'" in done.out
    assert "did you mean 'user'?" in done.out
    assert "Traceback" not in done.out


def test_no_cassette_and_a_real_upstream_is_an_error_with_the_command(project: Project) -> None:
    project.write("pyproject.toml", REAL)
    project.write("scenarios/name.yaml", NAME)

    done = project.pytest()

    assert done.counts() == {"error": 1}
    assert "no cassette — cassettes/name/remembers-the-name.yaml" in done.out
    assert "record it: convtest record scenarios/name.yaml::remembers-the-name" in done.out


def test_strict_refuses_what_is_only_simulated(two: Project) -> None:
    assert two.pytest("--convtest-strict").counts() == {"error": 3}

    assert two.pytest("--convtest-record=once").counts() == {"passed": 3}
    assert two.pytest("--convtest-strict").counts() == {"passed": 3}


def test_the_table_of_what_plain_pytest_plays(project: Project) -> None:
    project.write("scenarios/name.yaml", NAME)
    cassette = project.root / "cassettes" / "name" / "remembers-the-name.yaml"

    assert "convtest: 1 simulated (no cassette" in project.pytest().out
    assert "convtest: 1 simulated" in project.pytest("--convtest-live").out
    assert not cassette.exists()
    assert "convtest: 1 recorded; 97 tokens, 0.0001 USD" in project.pytest("--convtest-record=once").out
    first = cassette.read_bytes()
    assert "convtest: 1 replayed" in project.pytest().out
    assert "convtest: 1 replayed" in project.pytest("--convtest-record=once").out
    assert "convtest: 1 simulated" in project.pytest("--convtest-live").out
    assert "convtest: 1 recorded" in project.pytest("--convtest-record=new_episodes").out
    assert "convtest: 1 recorded" in project.pytest("--convtest-record=all").out
    assert cassette.read_bytes() == first
    cassette.unlink()
    assert "convtest: 1 recorded" in project.pytest("--convtest-record=new_episodes").out
    assert cassette.read_bytes() == first
    project.write("pyproject.toml", REAL)
    assert "convtest: 1 replayed" in project.pytest().out


def test_live_items_carry_the_mark(two: Project) -> None:
    assert two.pytest("-m", "live").counts() == {"deselected": 3}
    assert two.pytest("-m", "live", "--convtest-live").counts() == {"passed": 3}


def test_a_changed_scenario_is_an_error_while_playing(project: Project) -> None:
    project.write("scenarios/name.yaml", NAME)
    project.pytest("--convtest-record=once")
    project.write("scenarios/name.yaml", NAME.replace("My name is Ada.", "My name is Ada, by the way."))

    done = project.pytest()

    assert done.counts() == {"error": 1}
    assert "the scenario changed since it was recorded — cassettes/name/remembers-the-name.yaml" in done.out
    assert "[Ada, by the way.]" in done.out


def test_a_broken_cassette_is_an_error_and_nothing_is_written(project: Project) -> None:
    project.write("scenarios/name.yaml", NAME)
    project.pytest("--convtest-record=once")
    path = "cassettes/name/remembers-the-name.yaml"
    project.write(path, project.read(path)[:1500])
    before = project.files()

    for mode in ([], ["--convtest-record=once"]):
        done = project.pytest(*mode)
        assert done.counts() == {"error": 1}
        assert "unreadable cassette — cassettes/name/remembers-the-name.yaml" in done.out
    assert project.files() == before


def test_tags_that_are_pytests_own_marks_are_refused(project: Project) -> None:
    project.write("scenarios/name.yaml", NAME.replace("[memory]", "[skip]"))

    assert "the tag 'skip' is one of pytest's own marks" in project.pytest().out


def test_skip_takes_a_reason(project: Project) -> None:
    project.write("scenarios/name.yaml", NAME + "skip: the model is away\n")

    done = project.pytest("-rs")

    assert done.counts() == {"skipped": 1}
    assert "the model is away" in done.out


def test_another_client_plays_every_scenario_under_its_own_name(project: Project) -> None:
    project.write(
        "pyproject.toml",
        SECTION + '[tool.convtest.clients.other]\nkind = "messages"\nmodel = "x"\nupstream = "simulator"\n',
    )
    project.write("scenarios/name.yaml", NAME)

    out = project.pytest("--convtest-client=other", "--collect-only", "-q").out

    assert out.startswith("scenarios/name.yaml::remembers-the-name@other\n")


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (SECTION.replace("client =", "clint ="), "unknown key 'clint'"),
        (SECTION.replace('kind = "messages"\n', ""), "kind is missing"),
        (SECTION + "[tool.convtest.prices]\nm = 3\n", "the price of 'm' needs input and output"),
        (SECTION.replace("[tool.convtest]", "[tool.convtest]\nscenarios = 'x'"), "scenarios is a list of texts"),
        (SECTION + "[broken", "not valid TOML"),
        (SECTION + "[tool.convtest.prices]\nm = {input = 'a', output = 1}\n", "the price of 'm': input is a number"),
        (SECTION + "[tool.convtest.prices]\nm = {input = 1, output = -1}\n", "the price of 'm': output is a number"),
        ('tool.convtest = "x"', "convtest is a table — pyproject.toml, [tool]"),
        ('[tool.convtest]\nclients = "x"', "clients is a table of profiles — pyproject.toml, [tool.convtest]\n"),
        ("[tool.convtest]\nclients = {a = 3}", "the profile 'a' is a table — pyproject.toml, [tool.convtest.clients]"),
        (
            "[tool.convtest]\nprices = 3",
            "prices is a table of prices by model — pyproject.toml, [tool.convtest.prices]",
        ),
        (SECTION.replace('"simulator"', '"simulater"'), "upstream 'simulater' is neither simulator nor an http(s) URL"),
        (SECTION.replace('"simulator"', '"simulater"'), "did you mean 'simulator'?"),
        (SECTION.replace('"simulator"', '"ftp://x"'), 'a base URL is such as "https://api.anthropic.com"'),
        (SECTION.replace('"simulator"', '"https://"'), "upstream 'https://' is neither"),
        (SECTION.replace('"simulator"', '"http://a:b"'), "upstream 'http://a:b' is neither"),
        ("[tool.convtest]\ncassettes = 3", "cassettes is a text, and not 3 — pyproject.toml, [tool.convtest]\n"),
        ('[tool.convtest]\nclient = ["a"]', "client is a text, and not ['a'] — pyproject.toml, [tool.convtest]\n"),
        ("[tool.convtest]\nscenarios = 3", "scenarios is a list of texts — pyproject.toml, [tool.convtest]\n"),
    ],
)
def test_a_wrong_section_is_a_usage_error(project: Project, section: str, message: str) -> None:
    project.write("pyproject.toml", section)
    project.write("scenarios/name.yaml", NAME)

    done = project.pytest("-c", "/dev/null", "--rootdir=.") if "broken" in section else project.pytest()

    assert done.code == 4
    assert message in done.text
    assert "Traceback" not in done.text


@pytest.mark.parametrize("key", ["kind", "upstream", "wire", "target", "process", "api_key_env"])
@pytest.mark.parametrize("value", ["3", "[]"])
def test_a_key_of_a_profile_that_is_no_text_is_named(project: Project, key: str, value: str) -> None:
    profile = f'kind = "python"\n{key} = {value}' if key != "kind" else f"kind = {value}"
    project.write("pyproject.toml", f"[tool.convtest.clients.a]\n{profile}\n")

    done = project.convtest("check")

    assert done.code == 2
    assert f"error: {key} is a text, and not {value} — pyproject.toml, [tool.convtest.clients.a]\n" in done.err


def test_a_command_with_an_open_quote_is_named(project: Project) -> None:
    project.write("pyproject.toml", """[tool.convtest.clients.a]\nkind = "command"\ncommand = "node 'x"\n""")

    done = project.convtest("check")

    assert done.code == 2
    assert "No closing quotation — pyproject.toml, [tool.convtest.clients.a]\n" in done.err


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        ('kind = "mesages"', "unknown kind 'mesages'\n    did you mean 'messages'?"),
        ('kind = "messages"\nmodell = "x"', "unknown option 'modell'"),
        ('kind = "messages"\nupsteam = "simulator"', "unknown option 'upsteam'\n    did you mean 'upstream'?"),
        ('kind = "sse"', "url is missing — pyproject.toml, [tool.convtest.clients.assistant]\n    add it there, or"),
        ('kind = "python"', "target is missing"),
        ('kind = "python"\ntarget = "nowhere:x"', "cannot import 'nowhere:x'"),
        (
            'kind = "python"\ntarget = "convtest.events:TextDlta"',
            "has no attribute 'TextDlta'\n    did you mean 'TextDelta'?",
        ),
        (
            'kind = "python"\ntarget = "lazy:Client"',
            "cannot import 'lazy:Client': No module named 'nowhere'\n    lazy is ",
        ),
    ],
)
def test_a_wrong_profile_is_an_error_of_the_item(project: Project, profile: str, message: str) -> None:
    text = (
        f'[tool.convtest]\nclient = "assistant"\n[tool.convtest.clients.assistant]\nupstream = "simulator"\n{profile}\n'
    )
    project.write("pyproject.toml", text)
    project.write("scenarios/name.yaml", NAME)
    project.write("lazy.py", "def __getattr__(name):\n    import nowhere\n")

    done = project.pytest("-p", "no:cacheprovider")

    assert done.counts() == {"error": 1}
    assert all(line in done.out for line in message.split("\n"))


def test_a_client_that_only_the_configuration_names_is_looked_for_there(project: Project) -> None:
    project.write("pyproject.toml", project.read("pyproject.toml").replace('client = "', 'client = "no', 1))
    project.write("scenarios/name.yaml", NAME)

    assert ", which [tool.convtest] names for it" in project.pytest("-p", "no:cacheprovider").text


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        ('kind = "messages"\nmax_retries = "2"', "max_retries is a whole number, 0 or more, and not '2'"),
        ('kind = "messages"\nmax_retries = -1', "max_retries is a whole number, 0 or more, and not -1"),
        ('kind = "messages"\nmax_turns = 1.5', "max_turns is a whole number, 0 or more, and not 1.5"),
        ('kind = "messages"\nmax_messages = true', "max_messages is a whole number, 0 or more, and not True"),
        ('kind = "messages"\nread_timeout = "1s"', "read_timeout is a number of seconds, 0 or more, and not '1s'"),
        ('kind = "messages"\nmodel = 3', "model is a text, and not 3"),
        ('kind = "messages"\npython_tools = "a:b"', "python_tools is a list of texts, and not 'a:b'"),
        ('kind = "messages"\nprices = 3', "prices do not belong to a profile"),
        ('kind = "python"\nprices = {}', "prices do not belong to a profile"),
        ('kind = "chat_completions"\nmax_turns = "many"', "max_turns is a whole number, 0 or more, and not 'many'"),
        ('kind = "chat_completions"\nmodel = ["a"]', "model is a text, and not ['a']"),
        ('kind = "sse"\nurl = 3', "url is a text, and not 3"),
        ('kind = "sse"\nurl = "http://x"\nheaders = {a = 1}', "headers is a table of texts, and not {'a': 1}"),
    ],
)
def test_an_option_of_a_wrong_type_is_an_error_of_check_and_of_the_item(
    project: Project, profile: str, message: str
) -> None:
    project.write("pyproject.toml", f"[tool.convtest.clients.assistant]\n{profile}\n")
    project.write("scenarios/name.yaml", NAME)

    checked, played = project.convtest("check"), project.pytest("-p", "no:cacheprovider")

    said = f"{message} — pyproject.toml, [tool.convtest.clients.assistant]\n"
    assert (checked.code, played.counts()) == (2, {"error": 1})
    assert said in checked.err
    assert said in played.out


@pytest.mark.parametrize("upstream", ["localhost:8000", 3])
def test_an_upstream_of_a_fixture_that_is_none_is_an_error_of_the_item(project: Project, upstream: object) -> None:
    fixture = f"import pytest\n@pytest.fixture\ndef convtest_upstream(): return {upstream!r}\n"
    project.write("conftest.py", fixture)
    project.write("scenarios/name.yaml", NAME)

    done = project.pytest()

    assert done.counts() == {"error": 1}
    assert f"upstream '{upstream}' is neither simulator nor an http(s) URL — the fixture convtest_up" in done.out


def test_serve_refuses_an_upstream_that_is_none(project: Project) -> None:
    done = project.convtest("serve", "--upstream", "simulater", "--record", "c.yaml")

    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: upstream 'simulater' is neither simulator nor an http(s) URL — --upstream\n")
    assert not list(project.root.glob("c.yaml*"))


def test_unknown_client_on_the_command_line(two: Project) -> None:
    done = two.pytest("--convtest-client=asistant")

    assert done.code == 4
    assert "did you mean 'assistant'?" in done.text


def test_the_network_is_blocked_while_an_item_simulates_or_replays(project: Project) -> None:
    project.write("pyproject.toml", SECTION.replace('kind = "messages"', 'kind = "python"\ntarget = "mine:client"'))
    project.write(
        "mine.py",
        """
        import httpx
        from convtest.clients.messages.client import MessagesClient

        class client(MessagesClient):
            async def query(self, text):
                try:
                    async with httpx.AsyncClient() as http:
                        await http.get("http://telemetry.example.com/ping")
                except Exception:
                    pass
                await super().query(text)
        """,
    )
    project.write("scenarios/name.yaml", NAME)

    done = project.pytest()

    assert done.counts() == {"error": 1}
    message = "network blocked: scenarios/name.yaml::remembers-the-name tried to reach 'telemetry.example.com'"
    assert message in done.out


def test_loopback_and_allowed_hosts_are_not_blocked(project: Project) -> None:
    project.write("scenarios/name.yaml", NAME)
    project.write("conftest.py", "")
    section = SECTION.replace('kind = "messages"', 'kind = "python"\ntarget = "mine:client"')
    project.write(
        "pyproject.toml", section.replace("[tool.convtest]", '[tool.convtest]\nallow_hosts = ["ok.example.com"]')
    )
    project.write(
        "mine.py",
        """
        import socket
        from convtest.clients.messages.client import MessagesClient

        class client(MessagesClient):
            async def query(self, text):
                for host in ("127.0.0.1", "ok.example.com"):
                    try:
                        socket.create_connection((host, 9), timeout=0.2).close()
                    except OSError:
                        pass
                await super().query(text)
        """,
    )

    assert project.pytest().counts() == {"passed": 1}


def test_items_are_played_on_trio_too(two: Project) -> None:
    assert two.pytest("--convtest-backend=trio").counts() == {"passed": 3}


def test_a_backend_that_is_not_installed_is_one_error(two: Project) -> None:
    two.write("conftest.py", "import sys\nsys.modules['trio'] = None\n")

    done = two.pytest("--convtest-backend=trio")

    assert done.code == 4
    assert done.text.count("trio is not installed — --convtest-backend=trio\n    pip install trio\n") == 1
    assert "Traceback" not in done.text


def test_nothing_heavy_is_imported_before_a_scenario_runs(two: Project) -> None:
    two.write(
        "conftest.py",
        """
        import sys

        def pytest_collection_finish(session):
            heavy = {"httpx", "vcr", "rich", "hypothesis", "anthropic", "openai", "click"} & set(sys.modules)
            print("HEAVY", sorted(heavy))
        """,
    )

    assert "HEAVY []" in two.pytest("--collect-only", "-s", "-p", "no:hypothesispytest").out


def test_a_negative_speed_is_a_usage_error(two: Project) -> None:
    assert two.pytest("--convtest-speed=-1").code == 4


def test_items_that_have_been_played_keep_neither_their_recordings_nor_their_transcripts(two: Project) -> None:
    two.write(
        "conftest.py",
        """
        import gc

        def pytest_sessionfinish(session):
            from convtest.play.prepare import Prepared
            from convtest.transcript import Transcript

            gc.collect()
            print("ITEMS", len(session.items))
            print("KEPT", sum(isinstance(one, (Prepared, Transcript)) for one in gc.get_objects()))
        """,
    )

    out = two.pytest("-s").out

    assert "ITEMS 3" in out
    assert "KEPT 0" in out


SCOPES = """
import pytest


@pytest.fixture(scope="{scope}")
def kept(request):
    return request.node.nodeid


@pytest.fixture(autouse=True)
def around(kept, request):
    assert request.module.__name__ in {{"two", "test_beside"}}
    yield
"""


@pytest.mark.parametrize("scope", ["session", "package", "module", "class", "function"])
def test_fixtures_of_every_scope_are_around_items_as_they_are_around_tests(two: Project, scope: str) -> None:
    """As those of pytest-recording are, whose settings live as long as a module."""
    two.write("scenarios/test_beside.py", "def test_beside(): pass\n")
    two.write("conftest.py", SCOPES.format(scope=scope))

    assert two.pytest("scenarios").counts() == {"passed": 4}


def test_a_plan_of_set_ups_is_shown(two: Project) -> None:
    done = two.pytest("--setup-plan", "scenarios")

    assert done.code == 0
    assert "convtest_upstream" in done.out


@pytest.fixture
def many(two: Project) -> Project:
    """A repository of two projects; the settings of pytest stand at its top."""
    for name in ("chat", "search"):
        for file in ("pyproject.toml", "scenarios/two.yaml"):
            section, _, _ = two.read(file).partition("[tool.pytest")
            two.write(f"services/{name}/{file}", section)
        two.write(f"services/{name}/test_beside_{name}.py", "def test_beside(): pass\n")
    (two.root / "scenarios/two.yaml").unlink()
    two.write("pyproject.toml", "[tool.pytest.ini_options]\n")
    return two


@pytest.mark.parametrize("asked", ["services/chat", "services/chat/scenarios/two.yaml", "services/chat/scenarios"])
def test_a_project_below_pytests_root_is_found_by_what_is_named(many: Project, asked: str) -> None:
    done = many.pytest("-q", asked)

    assert done.counts() == {"passed": 4 if asked == "services/chat" else 3}
    assert "not played" not in done.out


def test_a_project_below_pytests_root_is_found_in_its_own_folder(many: Project) -> None:
    chat = Project.__new__(Project)
    chat.root, chat.environment = many.root / "services" / "chat", {}

    assert chat.pytest().counts() == {"passed": 4}
    assert chat.convtest("record", "--max-usd", "1").code == 0
    assert chat.pytest("--convtest-strict").counts() == {"passed": 4}


@pytest.mark.parametrize("asked", [(), ("services",), ("services/chat", "services/search")])
def test_projects_below_pytests_root_that_are_left_out_are_named(many: Project, asked: tuple[str, ...]) -> None:
    done = many.pytest(*asked)

    assert done.counts() == {"passed": 2}
    for name in ("chat", "search"):
        line = f"convtest: the scenarios of services/{name}/pyproject.toml were not played; play them by: "
        assert f"{line}pytest services/{name}" in done.out
