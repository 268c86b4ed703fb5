"""How long the page of a large run takes to make and to open in Chromium, and how large it is.

    python benchmarks/report.py [ITEMS] [TURNS]

By default 1,000 items of 10 turns each, as a run with a tool, a side request and some failures has them.
"""

import shutil
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from convtest.events import Usage
from convtest.reporting.page import page_text
from convtest.results.model import SCHEMA, About, Ending, Found, Part, Point, Request, Result, Said, Step

_WORDS = "It was a fine day by the sea, and the lighthouse keeper had nothing to do but to count the ships. "


def _request(number: int, turn: int, *, main: bool = True) -> Request:
    said = [Part(role="assistant", text=_WORDS * 3), Part(role="user", text=f"And then what happened on day {turn}?")]
    return Request(
        number=number,
        main=main,
        lane="main",
        url="https://api.anthropic.com/v1/messages",
        model="claude-haiku-4-5",
        roles=["user", "assistant"] * turn + ["user"],
        settings={"model": "claude-haiku-4-5", "max_tokens": "1024"} if turn == 1 else {},
        kept=2 * turn,
        added=said,
        status=200,
        ended="complete",
        origin="replayed",
        sent_ms=turn * 1000.0,
        first_byte_ms=310.5,
        chunks_ms=[round(310.5 + 21.3 * n, 1) for n in range(60)],
        usage=Usage(input_tokens=200 * turn, output_tokens=80),
    )


def _step(item: int, turn: int) -> Step:
    tool = Said(kind="tool_use", name="get_weather", input={"city": "Ghent", "day": turn})
    result = Said(kind="tool_result", text='{"temp_c": 18, "wind": "light"}')
    requests = [_request(turn, turn)] + ([_request(turn + 1, turn, main=False)] if turn % 5 == 0 else [])
    return Step(
        index=turn,
        session="main",
        client="assistant",
        place=f"scenarios/s{item % 40}.yaml:{turn + 3}",
        prompt=f"And then what happened on day {turn}?",
        said=[Said(kind="text", text=_WORDS * 3), *([tool, result] if turn % 3 == 0 else [])],
        events="text*60 turn_end",
        text=_WORDS * 3,
        ending=Ending(),
        first_event_ms=320.0,
        total_ms=1600.0,
        usage=Usage(input_tokens=200 * turn, output_tokens=80),
        usd=0.0004,
        requests=requests,
    )


def _result(item: int, turns: int) -> Result:
    wrong = item % 20 == 0
    file, name = f"scenarios/s{item % 40}.yaml", f"item-{item}"
    found = [
        Found(check="history", layer="wire", message="what was said is gone", expected=_WORDS, seen="", step=turns)
    ]
    point = Point(base=f"swept-{item // 100}", turn=2, do="interrupt", kind="text", after=item % 100)
    return Result(
        schema=SCHEMA,
        about=About(
            item=f"{file}::{name}",
            title=f"the story of item {item}",
            file=file,
            line=1,
            client="assistant",
            tags=["story", f"group{item % 7}"],
            point=point if item % 3 == 0 else None,
        ),
        outcome="failed" if wrong else "passed",
        source="replayed",
        layer="wire" if wrong else None,
        headline="history (layer wire): what was said is gone" if wrong else "",
        found=found if wrong else [],
        steps=[_step(item, turn) for turn in range(1, turns + 1)],
        usage=Usage(input_tokens=11_000, output_tokens=800),
        usd=0.004,
        seconds=0.02,
    )


def main() -> None:
    items, turns = (int(word) for word in (sys.argv[1:] + ["1000", "10"][len(sys.argv) - 1 :])[:2])
    results = [_result(number, turns) for number in range(items)]
    began = time.perf_counter()
    text = page_text(results)
    print(f"{items} items of {turns} turns: {len(text.encode()) / 1e6:.1f} MB, made in {_since(began)}")
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder) / "report.html"
        path.write_text(text, encoding="utf-8")
        made = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"])
        for attempt in range(3):
            page = made.new_context().new_page()
            began = time.perf_counter()
            page.goto(path.as_uri())
            page.locator("#item h2").wait_for()
            opened = _since(began)
            began = time.perf_counter()
            page.get_by_label("Search").fill("day 7")
            page.wait_for_function("document.querySelector('#count').innerText.length > 0")
            searched = _since(began)
            began = time.perf_counter()
            page.keyboard.press("Escape")
            page.keyboard.press("j")
            print(f"  {attempt + 1}. opened in {opened}, searched in {searched}, next item in {_since(began)}")
        made.close()


def _since(began: float) -> str:
    return f"{time.perf_counter() - began:.2f} s"


if __name__ == "__main__":
    main()
