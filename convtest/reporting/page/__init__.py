"""Results as one HTML page that loads nothing: it opens from disk, and from the artefacts of a CI run."""

from collections.abc import Iterable
from importlib.resources import files

import msgspec

from convtest.results.model import Result

_ENCODER = msgspec.json.Encoder()


def page_text(results: Iterable[Result]) -> str:
    """The page. What was said and sent stands in it as JSON, which its script shows as text, never as markup."""
    head, rest = _part("page.html").split("/*STYLE*/")
    middle, rest = rest.split("/*RESULTS*/")
    before_script, end = rest.split("/*SCRIPT*/")
    return "".join([head, _part("page.css"), middle, _data(results), before_script, _part("page.js"), end])


def _data(results: Iterable[Result]) -> str:
    made = b"[" + b",\n".join(_ENCODER.encode(one) for one in results) + b"]"
    # Nothing in it may end the element that it stands in: https://html.spec.whatwg.org/#script-data-state
    return made.decode().replace("<", "\\u003c")


def _part(name: str) -> str:
    return files(__name__).joinpath(name).read_text(encoding="utf-8")
