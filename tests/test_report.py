"""The report of a run: one page made of results alone, Markdown for a pull request, annotations, JUnit's properties."""

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints
from xml.etree import ElementTree

import msgspec
import pytest

from convtest.reporting.annotations import annotations
from convtest.reporting.failure import failure_text
from convtest.reporting.markdown import summary_text
from convtest.reporting.page import page_text
from convtest.results.lines import append
from convtest.results.model import SCHEMA, About, Found, Part, Request, Result, Said, Step
from tests.project import SECTION, Project

PROFILE = SECTION.replace('kind = "messages"', 'kind = "python"\ntarget = "mine:client"')
MINE = """
from convtest import MessagesClient

class client(MessagesClient):
    asked = 0

    async def query(self, text):
        self.asked += 1
        if self.asked == 3:
            self._messages.clear()
        await super().query(text)
"""
SCENARIOS = """
scenario: interrupted & <script>alert(1)</script>
tags: [memory]
facts: {who: {tell: "My name is <b>Ada</b>.", ask: What is my name?, answer: Ada}}
steps:
  - tell: who
  - user: Tell me a long story about the sea.
    interrupt: {after: 5}
    expect: {ended: interrupted}
  - ask: who
---
scenario: two at once
sessions: {one: {}, two: {}}
steps:
  - together:
      - - {user: My name is Bea., session: one}
        - {user: What is my name?, session: one}
      - - {user: My name is Cleo., session: two}
        - {user: What is my name?, session: two}
---
scenario: forked
steps:
  - user: My name is Eve.
  - fork: main
    as: other
  - {user: What is my name?, session: other}
---
scenario: swept
steps:
  - user: My name is Dora.
  - {user: Tell me about the sea., id: swept, simulate: [{text: The sea is wide and blue.}]}
sweep: {turn: swept, disturb: [interrupt, kill]}
"""
FAILED = "scenarios/talk.yaml::interrupted-script-alert-1-script"
HOSTILE = "</script><img src=x onerror=alert(1)>\u202e\x1b[31m ‮ שלום 🙂 `````` | <!--"


@pytest.fixture
def talked(project: Project) -> Project:
    project.write("pyproject.toml", PROFILE)
    project.write("mine.py", MINE)
    project.write("scenarios/talk.yaml", SCENARIOS)
    return project


def hostile() -> Result:
    """Markup, control characters and text from right to left in every field that holds words."""
    step = Step(
        index=1,
        label=HOSTILE,
        session=HOSTILE,
        prompt=HOSTILE,
        text=HOSTILE,
        said=[Said(kind="text", text=HOSTILE), Said(kind="tool_use", name=HOSTILE, input={HOSTILE: HOSTILE})],
        requests=[Request(number=1, added=[Part(role=HOSTILE, text=HOSTILE)], settings={"system": HOSTILE})],
        crash=HOSTILE,
    )
    found = Found(check="history", layer="wire", message=HOSTILE, expected=HOSTILE, seen=f"{HOSTILE} {HOSTILE}", step=1)
    about = About(item=f"s.yaml::{HOSTILE}", title=HOSTILE, file="s.yaml", line=1, client=HOSTILE, tags=[HOSTILE])
    return Result(schema=SCHEMA, about=about, outcome="failed", headline=HOSTILE, steps=[step], found=[found])


def filled(kind: Any, at: str, paths: list[str]) -> Any:
    """Plain data of a shape with markup in each of its texts; `paths` is told where each stands, in their order."""
    parts = get_args(kind)
    if isinstance(kind, type) and (issubclass(kind, msgspec.Struct) or is_dataclass(kind)):
        hints = get_type_hints(kind)
        return {name: filled(hints[name], f"{at}.{name}".lstrip("."), paths) for name in hints}
    if get_origin(kind) is Literal:
        return parts[0]
    if get_origin(kind) is list:
        return [filled(parts[0], at, paths)]
    if get_origin(kind) is dict:
        return {"key": filled(parts[1], at, paths)}
    if get_origin(kind) is tuple:
        return [filled(part, at, paths) for part in parts]
    if type(None) in parts:
        return filled(next(part for part in parts if part is not type(None)), at, paths)
    if kind in (int, float, bool):
        return kind(1)
    paths.append(at)
    return f"s.yaml {HOSTILE}[{len(paths) - 1}]"


def test_a_run_leaves_one_page_that_loads_nothing(talked: Project) -> None:
    done = talked.pytest("--convtest-report=out/report.html", "-n", "2")

    page = talked.read("out/report.html")
    assert done.code == 1
    assert "convtest: report in " in done.out
    assert FAILED in page
    assert "scenarios/talk.yaml::swept[interrupt@1-text]" in page
    assert "<script>alert(1)" not in page
    assert "http:" not in page.partition('id="results">')[0]
    assert [name for name in talked.files() if name.endswith(".jsonl")] == []


def test_the_report_is_made_of_results_alone_and_of_several_files(talked: Project) -> None:
    talked.pytest("--convtest-results=a.jsonl", "-k", "interrupted or forked")
    talked.pytest("--convtest-results=b.jsonl", "-k", "together or forked or once")
    (talked.root / "mine.py").unlink()

    done = talked.convtest("report", "a.jsonl", "b.jsonl", "--summary", "summary.md")

    assert done.code == 0
    assert done.out == "3 items: report.html\n"
    assert "1 results were replaced by later ones of the same item" in done.err
    assert talked.read("report.html").count('"item":') == 3
    assert talked.read("summary.md").startswith("### convtest: 1 failed, 2 passed\n")


def test_results_that_were_cut_off_are_shown_as_far_as_they_go(talked: Project) -> None:
    talked.pytest("--convtest-results=a.jsonl", "-k", "interrupted or forked")
    whole = (talked.root / "a.jsonl").read_bytes()
    talked.write("cut.jsonl", whole[:-40])
    talked.write("wrong.jsonl", b"{}\n" + whole)
    talked.write("none.jsonl", b"")

    cut, wrong, none = (talked.convtest("report", f"{name}.jsonl") for name in ("cut", "wrong", "none"))

    assert (cut.code, cut.out) == (0, "1 items: report.html\n")
    assert "cut.jsonl ends in mid-line: what wrote it was killed" in cut.err
    assert wrong.code == 2
    assert "wrong.jsonl:1" in wrong.err
    assert "Traceback" not in wrong.text
    assert (none.code, none.out) == (0, "0 items: report.html\n")


def test_where_the_page_cannot_be_written_is_said_at_once(talked: Project) -> None:
    (talked.root / "folder").mkdir()

    done = talked.pytest("--convtest-report=folder")

    assert done.code == 4
    assert "folder is a folder: name a file" in done.err


def test_github_hears_of_it_where_it_runs(talked: Project) -> None:
    talked.environment |= {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(talked.root / "step.md")}
    talked.write("step.md", "before\n")

    done = talked.pytest("--convtest-summary=mine.md")

    errors = [line for line in done.out.splitlines() if line.startswith("::error ")]
    assert errors[0].startswith("::error file=scenarios/talk.yaml,line=10,title=scenarios/talk.yaml%3A%3Ainterrupted")
    assert errors[0].count("::") == 2
    assert len(errors) == 2
    assert errors[1].endswith("items more)")
    assert talked.read("step.md") == "before\n" + talked.read("mine.md")


def test_a_summary_that_cannot_be_written_changes_no_verdict(talked: Project) -> None:
    talked.environment |= {"GITHUB_STEP_SUMMARY": str(talked.root / "pyproject.toml" / "step.md")}

    done = talked.pytest("-k", "forked")

    assert (done.code, done.counts()["passed"]) == (0, 1)
    assert "convtest: cannot write " in done.out
    assert "INTERNALERROR" not in done.text


def test_nothing_is_annotated_elsewhere(talked: Project) -> None:
    done = talked.pytest("-k", "interrupted")

    assert done.code == 1
    assert "::error" not in done.out


def test_junit_holds_tokens_cost_first_event_and_layer(talked: Project) -> None:
    talked.pytest("--junit-xml=junit.xml", "-k", "interrupted or forked")

    cases = ElementTree.fromstring(talked.read("junit.xml")).iter("testcase")
    found = {case.get("name"): {one.get("name"): one.get("value") for one in case.iter("property")} for case in cases}
    failed, passed = found["interrupted-script-alert-1-script"], found["forked"]
    assert failed["convtest_layer"] == "wire"
    assert "convtest_layer" not in passed
    for one in (failed, passed):
        assert int(one["convtest_tokens"] or 0) > 0
        assert float(one["convtest_usd"] or 0) > 0
        assert float(one["convtest_first_event_ms"] or 0) > 0


LONG = """
scenario: long
steps:
  - user: {told}
  - repeat: 14
    steps:
      - user: What is 1 + 1?
  - user: What is 2 + 2?
    expect: {{contains: a word that is not there}}
""".format(told="word " * 60 + "and the end")


def test_a_failure_is_told_in_short_and_whole_with_v(project: Project) -> None:
    project.write("scenarios/long.yaml", LONG)

    short, whole = project.pytest(), project.pytest("-v")

    assert re.search(r"… \d+ steps", short.out)
    assert "and the end" not in short.out
    assert not re.search(r"… \d+ steps", whole.out)
    assert "word and the end" in whole.out


def test_words_that_differ_are_marked_on_a_terminal(talked: Project) -> None:
    done = talked.pytest("--color=yes", "-k", "interrupted and not swept")

    assert "user: \x1b[0m\x1b[32m\x1b[1m\x1b[7m'My name is <b>Ada</b>.'\x1b[0m" in done.out
    assert "\x1b[31m      seen      What is my name?\x1b[0m" in done.out  # nothing in common: nothing to point at


def everywhere() -> tuple[Result, list[str]]:
    """A result with markup in every text, and where each stands; a turn and an act, each kind of what was said."""
    paths: list[str] = []
    data = filled(Result, "", paths)
    (step,) = data["steps"]
    (said,) = step["said"]
    kinds = [{**said, "kind": kind} for kind in ("text", "thinking", "tool_use", "tool_result")]
    steps = [{**step, "kind": "turn", "said": kinds}, {**step, "index": 2}]
    return msgspec.convert({**data, "schema": SCHEMA, "outcome": "failed", "steps": steps}, Result), paths


def test_nothing_that_was_said_moves_the_terminal() -> None:
    result, _ = everywhere()

    for whole in (False, True):
        text = failure_text(result, whole=whole)
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
        assert "\\u001b[31m" in text


ESCAPING = """
from convtest import MessagesClient, TextDelta

class client(MessagesClient):
    async def receive_response(self):
        async for event in super().receive_response():
            if isinstance(event, TextDelta):
                yield TextDelta(text=event.text + "\x1b[2J\u202e\x07")
            else:
                yield event
"""


def test_control_characters_are_escaped_in_the_terminal_and_in_files(project: Project) -> None:
    project.write("pyproject.toml", PROFILE)
    project.write("mine.py", ESCAPING)
    project.write("scenarios/name.yaml", "scenario: x\nsnapshot: true\nsteps:\n  - user: My name is Ada.\n")
    skipped = "invariants: {skip: [said], because: it says more}\n"
    project.write("scenarios/other.yaml", f"scenario: y\nsnapshot: true\n{skipped}steps:\n  - user: My name is Ada.\n")

    outputs = ["--convtest-results=r.jsonl", "--convtest-summary=s.md", "--convtest-report=r.html", "--junit-xml=j.xml"]
    done = project.pytest("-v", "--snapshot-update", *outputs)

    assert done.counts() == {"failed": 1, "passed": 1}
    assert "\\u001b[2J\\u202e\\u0007" in done.out
    written = ("r.jsonl", "s.md", "j.xml", "scenarios/__snapshots__/other/y.txt")
    texts = [done.out, *map(project.read, written)]
    assert [re.findall("[\x00-\x08\x0b-\x1f]", text) for text in texts] == [[]] * 5
    assert project.pytest("-q", "scenarios/other.yaml").code == 0


def test_markdown_holds_what_was_said_as_text_only() -> None:
    text = summary_text([hostile()])

    outside = re.sub(r"^(`{3,})text\n.*?\n\1$", "", text, flags=re.MULTILINE | re.DOTALL)
    assert outside.count("```") == 0
    assert "<img" not in outside
    assert "<!--" not in outside
    assert "\x1b" not in text
    assert "\\u001b" in text
    assert text.count("<details>") == text.count("</details>") == 1


def test_an_annotation_is_one_line() -> None:
    (line,) = annotations([hostile()])

    assert "\n" not in line
    assert line.count("::error ") == 1


def test_the_page_of_a_large_run_stays_small() -> None:
    kept = [Part(role="assistant", text="It was a fine day by the sea. " * 8), Part(role="user", text="And then?")]
    times = [round(50 + 10.5 * i, 1) for i in range(60)]
    turn = Step(
        index=1,
        session="main",
        prompt="And then what happened by the sea?",
        said=[Said(kind="text", text="It was a fine day by the sea. " * 8)],
        text="It was a fine day by the sea. " * 8,
        requests=[Request(number=1, url="https://api.anthropic.com/v1/messages", added=kept, chunks_ms=times)],
    )
    steps = [turn] * 10
    results = [
        Result(schema=SCHEMA, about=About(item=f"s.yaml::item-{i}", title="t"), outcome="passed", steps=steps)
        for i in range(1000)
    ]

    assert len(page_text(results).encode()) < 30_000_000


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed here")
QUIET = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]


class Seen:
    """A page in a real browser, what it asked for and what it complained of."""

    def __init__(self, browser: Any, path: Path, **more: Any) -> None:
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self.page = browser.new_context(**more).new_page()
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(path.as_uri())

    def serious(self) -> list[str]:
        """What axe finds: https://github.com/dequelabs/axe-core."""
        from axe_playwright_python.sync_playwright import Axe

        # The page's policy keeps scripts out; axe comes in as the test's own.
        found = Axe().run(self.page).response["violations"]
        return [f"{one['id']}: {one['nodes'][0]['html']}" for one in found if one["impact"] in ("serious", "critical")]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *QUIET])
        yield made
        made.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a run with passes, failures, an interrupt, a fork, `together` and a sweep."""
    project = Project(tmp_path_factory.mktemp("report"))
    for name, text in (("pyproject.toml", PROFILE), ("mine.py", MINE), ("scenarios/talk.yaml", SCENARIOS)):
        project.write(name, text)
    project.pytest("--convtest-report=report.html")
    return project.root / "report.html"


@needs_browser
def test_a_person_finds_the_turn_that_failed(browser: Any, report: Path) -> None:
    seen = Seen(browser, report)
    page = seen.page

    page.get_by_label("Show").select_option("failed")
    page.get_by_label("Search").fill("interrupted alert")
    page.get_by_role("button", name=FAILED).click()
    page.get_by_role("button", name="Show the step").first.click()

    assert page.locator("#count").inner_text().startswith("1 of ")
    assert page.evaluate("document.activeElement.id") == "step-3"
    assert page.locator(".turn.wrong").count() == 1
    assert "What is my name?" in page.locator("#step-3").inner_text()
    assert "ended interrupted" in page.locator("#step-2").inner_text()
    assert page.locator("#step-2 svg .cut").count() == 1
    assert page.locator("#step-3 .diff .old").count() >= 1
    assert seen.complaints == []
    assert seen.asked == [report.as_uri()]


@needs_browser
def test_sessions_stand_side_by_side_and_a_point_opens_its_conversation(browser: Any, report: Path) -> None:
    page = Seen(browser, report, viewport={"width": 1400, "height": 900}).page

    page.get_by_label("Search").fill("two-at-once")
    page.get_by_role("button", name="two-at-once").click()
    one, two = (page.locator(f"#step-{number}").bounding_box() for number in (1, 3))
    page.get_by_role("button", name="kill after 2 (text): passed").click()

    assert one["y"] == two["y"]
    assert one["x"] + one["width"] <= two["x"]
    assert "swept[kill@2-text]" in page.locator("h2").inner_text()


@needs_browser
def test_it_is_walked_by_keyboard(browser: Any, report: Path) -> None:
    page = Seen(browser, report).page

    page.keyboard.press("j")
    first = page.locator("h2").inner_text()
    page.keyboard.press("j")
    second = page.locator("h2").inner_text()
    page.keyboard.press("k")
    page.keyboard.press("f")
    on_finding = page.evaluate("document.activeElement.id")
    page.keyboard.press("/")
    page.keyboard.type("nothing like it")
    page.keyboard.press("t")

    assert first != second
    assert page.locator("h2").inner_text() == first
    assert on_finding == "finding-0"
    assert page.locator("#count").inner_text().startswith("0 of ")
    assert page.evaluate("document.documentElement.dataset.theme") is None  # typed, not pressed
    page.keyboard.press("Escape")
    page.keyboard.press("t")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


@needs_browser
@pytest.mark.parametrize("width", [390, 1400], ids=["phone", "desktop"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_read_it(browser: Any, report: Path, width: int, scheme: Any) -> None:
    seen = Seen(browser, report, viewport={"width": width, "height": 850}, color_scheme=scheme, bypass_csp=True)

    assert seen.serious() == []
    seen.page.get_by_role("button", name=FAILED).click()
    assert seen.serious() == []
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
    assert seen.complaints == []


@needs_browser
def test_nothing_that_was_said_runs_and_all_of_it_shows(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(page_text([hostile()]), encoding="utf-8")
    seen = Seen(browser, path)

    shown = seen.page.locator("#item").inner_text()
    assert "<img src=x onerror=alert(1)>" in shown
    assert "\\u202e" in shown
    assert "\\u001b[31m" in shown
    assert seen.page.locator("#item img").count() == 0
    assert seen.asked == [path.as_uri()]
    assert seen.complaints == []


NOT_SHOWN = {
    "about.record_command",  # what plays it is shown, not what records it anew
    "about.row",  # stands in the item's id
    "causes",  # the first is the headline
    "message",  # what was found says more
    "snapshot.kept",
    "snapshot.path",
    "steps.client",
    "steps.events",
    "steps.kind",
    "steps.requests.lane",
    "steps.requests.roles",
    "steps.session_id",
    "steps.text",  # what was said is shown piece by piece
}
"""What no person looks for on the page."""


@needs_browser
def test_every_field_shows_as_text_and_nothing_of_it_runs(browser: Any, tmp_path: Path) -> None:
    result, paths = everywhere()
    path = tmp_path / "report.html"
    path.write_text(page_text([result]), encoding="utf-8")
    seen = Seen(browser, path)

    seen.page.get_by_role("button", name="s.yaml").first.click()
    labels = "[...document.querySelectorAll('[aria-label]')].map((one) => one.getAttribute('aria-label')).join()"
    shown = seen.page.evaluate(f"document.querySelector('main').textContent + {labels}")

    missing = {where for number, where in enumerate(paths) if f"[{number}]" not in shown}
    assert missing == NOT_SHOWN
    assert seen.page.locator("#item img, #list img").count() == 0
    assert seen.asked == [path.as_uri()]
    assert seen.complaints == []


@needs_browser
def test_a_message_of_a_million_characters_is_shown(browser: Any, tmp_path: Path) -> None:
    step = Step(index=1, session="main", prompt="word " * 200_000, said=[Said(kind="text", text="word " * 200_000)])
    result = Result(schema=SCHEMA, about=About(item="s.yaml::long", title="long"), outcome="passed", steps=[step])
    append(tmp_path / "r.jsonl", result)
    path = tmp_path / "report.html"
    path.write_text(page_text([result]), encoding="utf-8")

    seen = Seen(browser, path)

    assert len(seen.page.locator(".says.user").inner_text()) > 900_000
    assert seen.complaints == []
    assert json.loads((tmp_path / "r.jsonl").read_bytes())["steps"][0]["prompt"].startswith("word")
