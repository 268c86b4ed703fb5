"""Applications that `convtest_app` starts: they answer, die in an item that says so, are started again and ended."""

import os
import sys
import traceback
from pathlib import Path

import pytest

from convtest.clients.last_words import first_error
from tests.project import Project

CONFTEST = f"""
    import pytest

    @pytest.fixture(scope="session")
    def chat(convtest_app, convtest_gateway):
        return convtest_app([{sys.executable!r}, "app.py", "${{port}}"], health="/health")

    @pytest.fixture
    def convtest_client_options(chat):
        return {{"url": chat.url}}
    """
SLOW_END = """
    @pytest.fixture(scope="session", autouse=True)
    def slow_end(chat):
        import time
        yield
        time.sleep(4)
    """
PATIENT = """
    from convtest.play import apps

    apps.LINGER = 2.0  # a busy machine takes its time to end an application
    """
SECTION = """
    [tool.convtest]
    client = "chat"

    [tool.convtest.clients.chat]
    kind = "sse"
    wire = "history"
    upstream = "simulator"
    body = {id = "${session_id}", text = "${text}"}
    done = "[DONE]"
    """
APP = '''
    """A chat whose conversations are in memory, or in a folder where KEPT names one; BUG says what is wrong with it."""

    import http.client, json, os, socket, struct, sys, threading, time
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    from pathlib import Path
    from urllib.parse import urlsplit

    KEPT, BUG, CHATS = os.environ.get("KEPT"), os.environ.get("BUG", ""), {}
    print("ERROR: nothing is wrong yet", flush=True)
    Path("pids.txt").open("a").write(f"{os.getpid()}\\n")
    if BUG == "start":
        raise RuntimeError("no settings")

    def end(code):
        print("all is well", flush=True)
        print("Traceback (most recent call last):", flush=True)
        print("  in chat: here is an error", flush=True)
        print("ValueError: boom: a bug of the app", file=sys.stderr, flush=True)
        os._exit(code)

    def history(id):
        path = Path(KEPT or ".") / f"{id}.json"
        return json.loads(path.read_text()) if KEPT and path.exists() else CHATS.get(id, [])

    class Chat(BaseHTTPRequestHandler):
        def log_message(self, *given): ...

        def do_GET(self):
            self.send_response(200); self.end_headers()

        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            said = history(asked["id"]) + [{"role": "user", "content": asked["text"]}]
            if BUG == "turn" and "name?" in asked["text"]:
                end(1)
            if BUG == "resets" and "name?" in asked["text"]:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return self.connection.close()
            base = urlsplit(os.environ["ANTHROPIC_BASE_URL"])
            model = http.client.HTTPConnection(base.hostname, base.port)
            headers = {"x-api-key": os.environ["ANTHROPIC_API_KEY"], "content-type": "application/json"}
            body = {"model": "claude-haiku-4-5", "max_tokens": 500, "messages": said}
            model.request("POST", "/v1/messages", json.dumps(body), headers)
            text = json.loads(model.getresponse().read())["content"][0]["text"]
            said.append({"role": "assistant", "content": text})
            CHATS[asked["id"]] = said
            if KEPT:
                Path(KEPT, f"{asked['id']}.json").write_text(json.dumps(said))
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.end_headers()
            for data in (text, "[DONE]"):
                self.wfile.write(f"data: {data}\\n\\n".encode())
            self.wfile.flush()
            if BUG.startswith("later ") and "name?" in asked["text"]:
                threading.Timer(float(BUG[6:]), end, [4]).start()
            if BUG == "after" and "name?" in asked["text"]:
                end(3)

    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Chat).serve_forever()
    '''
FACTS = "facts:\n  who: {tell: My name is Ada., ask: What is my name?, answer: Ada}\n"
TWO = f"""\
scenario: one
{FACTS}steps: [{{tell: who}}, {{ask: who}}]
---
scenario: next
{FACTS}steps: [{{tell: who}}, {{user: Hello.}}]
"""
RESTARTED = f"scenario: restarted\n{FACTS}steps: [{{tell: who}}, {{restart: app}}, {{ask: who}}]\n"


@pytest.fixture
def app(project: Project) -> Project:
    project.write("pyproject.toml", SECTION)
    project.write("conftest.py", CONFTEST)
    project.write("app.py", APP)
    project.write("scenarios/talk.yaml", TWO)
    return project


def ended(project: Project) -> bool:
    return not any(Path(f"/proc/{pid}").exists() for pid in project.read("pids.txt").split())


def test_an_application_answers_and_ends_with_the_run(app: Project) -> None:
    done = app.pytest("-q")

    assert "2 passed" in done.out, done.out
    assert len(app.read("pids.txt").split()) == 1
    assert ended(app)


@pytest.mark.parametrize(("bug", "code"), [("turn", 1), ("after", 3)])
def test_one_that_dies_is_the_error_of_the_item_that_killed_it(app: Project, bug: str, code: int) -> None:
    app.environment["BUG"] = bug

    done = app.pytest("-q")

    assert "1 error" in done.out, done.out
    assert f"the application 'app' died (exit code {code}): ValueError: boom: a bug of the app" in done.out
    assert "its output: " in done.out
    assert "ERROR scenarios/talk.yaml::one" in done.out
    assert "history" not in done.out
    assert ended(app)


def test_the_error_in_a_group_is_what_an_application_said() -> None:
    group = ExceptionGroup("of tasks", [RuntimeError("boom: a bug of the app")])

    said = first_error("".join(traceback.format_exception(group)).splitlines()[2:])

    assert said == "RuntimeError: boom: a bug of the app"
    assert first_error(["all is well", "  | bye", "    +----"]) == "bye"


def test_one_that_dies_as_its_item_ends_is_the_error_of_that(app: Project) -> None:
    app.write("conftest.py", CONFTEST + PATIENT)
    app.environment["BUG"] = "later 0.01"

    done = app.pytest("-q")

    assert "1 error" in done.out, done.out
    assert "ERROR scenarios/talk.yaml::one" in done.out
    assert "died (exit code 4): ValueError: boom: a bug of the app" in done.out


def test_one_that_dies_long_after_its_item_is_told_with_the_last(app: Project) -> None:
    app.environment["BUG"] = "later 2"
    app.write("conftest.py", CONFTEST + SLOW_END)

    done = app.pytest("-q", "-k", "one")

    assert "1 passed, 1 deselected, 1 error" in done.out, done.out
    assert "boom: a bug of the app; that was after scenarios/talk.yaml::one had ended" in done.out


def test_one_that_does_not_start_says_so(app: Project) -> None:
    app.environment["BUG"] = "start"

    done = app.pytest("-q")

    assert "the application 'app' did not start (exit code 1): RuntimeError: no settings" in done.out
    assert "2 errors" in done.out


def test_one_that_does_not_listen_is_told_which_port(app: Project) -> None:
    app.write("conftest.py", CONFTEST.replace("${port}", "0").replace('"/health"', '"/health", timeout=1.0'))

    done = app.pytest("-q", "-k", "one")

    assert "does not answer at http://127.0.0.1:" in done.out
    assert "it has to listen on the port in PORT" in done.out
    assert ended(app)


def test_a_restart_shows_what_an_application_keeps(app: Project) -> None:
    app.write("scenarios/talk.yaml", RESTARTED)

    forgets = app.pytest("-q")
    app.environment["KEPT"] = os.fspath(app.root)
    keeps = app.pytest("-q")

    assert "1 failed" in forgets.out, forgets.out
    assert "restart: app" in forgets.out
    assert "the request does not extend the conversation so far" in forgets.out
    assert "1 passed" in keeps.out, keeps.out
    assert len(app.read("pids.txt").split()) == 4
    assert ended(app)


def test_a_restart_of_nothing_names_what_runs(app: Project) -> None:
    app.write("scenarios/talk.yaml", RESTARTED.replace("restart: app", "restart: ap"))

    done = app.pytest("-q")

    assert "scenarios/talk.yaml:4:22: no application 'ap' runs" in done.out, done.out
    assert "did you mean 'app'?" in done.out
    assert "1 error" in done.out


def test_a_recording_replays_over_a_restart(app: Project) -> None:
    app.write("scenarios/talk.yaml", RESTARTED)
    app.environment["KEPT"] = os.fspath(app.root)

    recorded = app.convtest("record")
    done = app.pytest("-q", "--convtest-strict")

    assert "1 recorded" in recorded.out, recorded.out + recorded.err
    assert "1 passed" in done.out, done.out


def test_where_nothing_listens_the_set_up_is_wrong(app: Project) -> None:
    app.write("conftest.py", "")
    app.write("pyproject.toml", SECTION + '    url = "http://127.0.0.1:9/chat"\n')

    done = app.pytest("-q", "-k", "one")

    assert "nothing answers at http://127.0.0.1:9/chat" in done.out, done.out
    assert "1 error" in done.out


OWN = f"""
    import os, socket, subprocess, time
    import pytest

    @pytest.fixture(scope="session")
    def chat(convtest_gateway):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        environment = {{**os.environ, **convtest_gateway.environment}}
        process = subprocess.Popen([{sys.executable!r}, "app.py", str(port)], env=environment)
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.02)
        yield f"http://127.0.0.1:{{port}}"
        process.kill()
        process.wait()

    @pytest.fixture
    def convtest_client_options(chat):
        return {{"url": f"{{chat}}/chat"}}
    """


@pytest.mark.parametrize("bug", ["turn", "later 0.05"])
def test_an_application_of_a_fixture_of_ones_own_that_ends_is_an_error_of_its_item(app: Project, bug: str) -> None:
    app.write("conftest.py", OWN + PATIENT)
    app.write("scenarios/then.yaml", "scenario: then\nsteps: [{user: Hello.}]\n")
    app.environment["BUG"] = bug

    done = app.pytest("-q", "-s")

    errors = [line for line in done.out.splitlines() if line.startswith("ERROR scenarios")]
    assert len(errors) == 3, done.out
    assert all("the application at http://127.0.0.1:" in line for line in errors), done.out
    assert "it has answered before" in done.out
    assert "failed" not in done.counts(), done.out


def test_one_of_a_fixture_of_ones_own_that_ends_after_the_last_turn_is_an_error_too(app: Project) -> None:
    app.write("conftest.py", OWN + PATIENT)
    app.environment["BUG"] = "later 0.01"

    done = app.pytest("-q", "-s", "-k", "one")

    assert "1 error" in done.out, done.out
    assert "has ended: it had answered the last turn" in done.out


def test_one_of_a_function_ends_with_its_fixture(app: Project) -> None:
    app.write("conftest.py", OWN.replace('@pytest.fixture(scope="session")', "@pytest.fixture"))

    assert app.pytest("-q", "-s").counts() == {"passed": 2}


def test_an_application_that_breaks_an_answer_off_and_lives_fails_as_ever(app: Project) -> None:
    app.write("conftest.py", OWN)
    app.environment["BUG"] = "resets"

    done = app.pytest("-q", "-s")

    assert done.counts() == {"failed": 1, "passed": 1}, done.out
    assert "connection_lost" in done.out
