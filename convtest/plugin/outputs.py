"""What a run leaves for people beside the terminal: a page, Markdown for a pull request, annotations."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from convtest.errors import told
from convtest.plugin.results import KEPT, KEPT_FILE, results_file

if TYPE_CHECKING:
    from convtest.results.model import Result


_ROOM = pytest.StashKey[ExitStack]()
"""Holds the folder of results that nobody asked to keep."""


def begin_outputs(config: pytest.Config) -> None:
    """Have results written where something is to be made of them. Raises pytest.UsageError."""
    if hasattr(config, "workerinput") or not (_page(config) or _summaries(config) or _annotates()):
        return
    for path in filter(None, [_page(config), *_summaries(config)]):
        if path.is_dir():
            raise pytest.UsageError(told(f"{path} is a folder: name a file", "report"))
    if results_file(config) is None:
        from convtest.temporary import temporary

        config.stash[_ROOM] = ExitStack()
        path = config.stash[_ROOM].enter_context(temporary("results")) / "results.jsonl"
        path.touch()
        config.stash[KEPT_FILE] = path


def end_outputs(config: pytest.Config) -> None:
    """Leave nothing behind that nobody asked for."""
    config.stash.get(_ROOM, ExitStack()).close()


def tell_worker(config: pytest.Config, workerinput: dict[str, Any]) -> None:
    """Where its results go, which no option says."""
    if (kept := config.stash.get(KEPT_FILE, None)) is not None:
        workerinput[KEPT] = str(kept)


def written(config: pytest.Config) -> Iterator[str]:
    """Make what was asked for of the run's results; what to say of it, annotations included."""
    path = results_file(config)
    page, summaries = _page(config), _summaries(config)
    if path is None or hasattr(config, "workerinput") or not (page or summaries or _annotates()):
        return
    from convtest.results.merging import merged

    results = merged([path]).results
    try:
        yield from _files(config, results, page, summaries)
    except OSError as error:
        # What was played is no other for it: the run's own verdict stands.
        yield f"convtest: cannot write {error.filename}: {error.strerror}"
    if _annotates():
        from convtest.reporting.annotations import annotations

        yield from annotations(results)


def _files(
    config: pytest.Config, results: "Sequence[Result]", page: Path | None, summaries: list[Path]
) -> Iterator[str]:
    if page is not None:
        from convtest.reporting.page import page_text

        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(page_text(results), encoding="utf-8")
        yield f"convtest: report in {page}"
    for path in summaries if results else ():
        from convtest.reporting.markdown import summary_text

        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w" if path == _asked(config) else "a", encoding="utf-8") as file:
            file.write(summary_text(results))


def _page(config: pytest.Config) -> Path | None:
    given = config.getoption("--convtest-report")
    return config.invocation_params.dir / given if given else None


def _asked(config: pytest.Config) -> Path | None:
    given = config.getoption("--convtest-summary")
    return config.invocation_params.dir / given if given else None


def _summaries(config: pytest.Config) -> list[Path]:
    """Where Markdown goes: where it was asked for, and where CI shows what a step says of itself."""
    step = os.environ.get("GITHUB_STEP_SUMMARY", "")
    return [path for path in (_asked(config), Path(step) if step else None) if path is not None]


def _annotates() -> bool:
    """Whether this is a run of GitHub Actions."""
    return os.environ.get("GITHUB_ACTIONS") == "true"
