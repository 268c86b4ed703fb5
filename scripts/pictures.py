"""The pictures of docs/drawn, made by running what the pages say: `scripts/pictures`.

The retention map is drawn by the commands of its own page, docs/retention-regression.md.
"""

import io
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
from tests.test_docs import blocks, commands  # noqa: E402

DRAWN = ROOT / "docs" / "drawn"
COLUMNS = {"pytest": 100, "convtest": 124}
"""Of the terminal; a sweep's grid is wide."""
CHROMIUM = next((one for one in ("/usr/bin/chromium", "/usr/bin/chromium-browser") if Path(one).exists()), None)


def ran(folder: Path, command: str) -> str:
    """What it prints, in colour."""
    program, *words = command.split()
    module = ["-m", "pytest", "-p", "no:cacheprovider", "--color=yes"] if program == "pytest" else ["-m", "convtest"]
    if program == "convtest":
        module = ["-c", "from convtest.cli import main; main()"]
    kept = {name: value for name, value in os.environ.items() if name not in ("CI", "GITHUB_ACTIONS", "BUILD_NUMBER")}
    environment = {**kept, "COLUMNS": str(COLUMNS[program])}
    done = subprocess.run(
        [sys.executable, *module, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    return done.stdout


def played(page: str, until: str, folder: Path) -> str:
    """Carry out a page up to the first command that begins so, that one with it; what that one printed."""
    for block in blocks(ROOT / "docs" / page):
        if block.file:
            path = folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
            continue
        for command, code, _ in commands(block):
            out = ran(folder, command)
            if f"{command} {code}".startswith(until) or (command.startswith(until) and code):
                return out
    raise LookupError(until)


def terminal(name: str, command: str, text: str) -> None:
    """As a picture of a terminal; nothing in it is loaded from elsewhere."""
    text = re.sub(r" in \d+\.\d+s", "", text.strip("\n"))
    width = max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in text.splitlines()) + 1
    console = Console(record=True, width=width, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text.assemble(("$ ", "bold green"), command))
    console.print(Text.from_ansi(text), no_wrap=True)
    drawn = console.export_svg(title="", theme=MONOKAI, unique_id=name)
    drawn = re.sub(r"@font-face \{.*?\}", "", drawn, flags=re.DOTALL)
    drawn = re.sub(r"font-family: Fira Code, monospace", "font-family: ui-monospace, Menlo, Consolas, monospace", drawn)
    drawn = "\n".join(line.rstrip() for line in drawn.splitlines() if line.strip()) + "\n"
    (DRAWN / f"{name}.svg").write_text(drawn)


def page(name: str, path: Path) -> None:
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        shown = browser.new_page(viewport={"width": 1080, "height": 760}, color_scheme="light")
        shown.goto(path.as_uri())
        shown.wait_for_timeout(300)
        shown.evaluate("window.scrollTo(0, 0)")
        shown.screenshot(path=DRAWN / f"{name}.png")
        browser.close()


def main() -> None:
    DRAWN.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as made:
        out = played("tutorial.md", "pytest -q --convtest-strict --convtest-report", Path(made))
        terminal("failing", "pytest -q --convtest-strict", re.sub(r"(?m)^.*convtest: report in.*\n", "", out))
        page("report", Path(made) / "report.html")
    with tempfile.TemporaryDirectory() as made:
        terminal("sweep", "convtest sweep", played("sweeps.md", "convtest sweep", Path(made)))


if __name__ == "__main__":
    main()
