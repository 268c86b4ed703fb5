"""Results as one HTML page that loads nothing: it opens from disk, and from the artefacts of a CI run."""

from collections.abc import Iterable
from importlib.resources import files

from msgspec.structs import replace

from convtest.results.lines import as_array
from convtest.results.model import Request, Result


def page_text(results: Iterable[Result]) -> str:
    """The page. What was said and sent stands in it as JSON, which its script shows as text, never as markup."""
    head, rest = _part("page.html").split("/*STYLE*/")
    middle, rest = rest.split("/*RESULTS*/")
    before_script, end = rest.split("/*SCRIPT*/")
    return "".join([head, _part("page.css"), middle, _data(results), before_script, _part("page.js"), end])


def _data(results: Iterable[Result]) -> str:
    # Nothing in it may end the element that it stands in: https://html.spec.whatwg.org/#script-data-state
    return as_array(map(_shown, results)).replace("<", "\\u003c")


def _shown(result: Result) -> Result:
    """Without what stands in it twice: a large run's page stays small."""
    return replace(
        result, steps=[replace(step, text="", requests=[*map(_told, step.requests)]) for step in result.steps]
    )


def _told(request: Request) -> Request:
    return replace(request, roles=[], chunks_ms=[round(ms, 1) for ms in request.chunks_ms])


def _part(name: str) -> str:
    return files(__name__).joinpath(name).read_text(encoding="utf-8")
