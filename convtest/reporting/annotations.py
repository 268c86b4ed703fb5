"""Failed items as annotations at their scenarios' lines.

Source: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

import re
from collections.abc import Iterator, Sequence

from convtest.results.model import Result


def annotations(results: Sequence[Result]) -> Iterator[str]:
    """A line of a workflow's output for each failure, at the step where its root cause was seen.

    Of items that failed in the same place by the same cause, as points of a sweep do, the first stands for all.
    """
    alike: dict[tuple[str, str], list[Result]] = {}
    for one in results:
        if one.outcome in ("failed", "error"):
            place = one.found[0].place if one.found else f"{one.about.file}:{one.about.line}"
            alike.setdefault((place, re.sub(r"\d+", "#", one.headline)), []).append(one)
    for one, *others in alike.values():
        file, line = one.about.file, one.about.line
        place, _, number = (one.found[0].place if one.found else "").rpartition(":")
        if place == file and number.isdigit():
            line = int(number)
        words = one.headline or one.message.partition("\n")[0]
        words += f" (and {len(others)} items more)" if others else ""
        where = f"file={_property(file)},line={line},title={_property(one.about.item)}"
        yield f"::error {where}::{_data(words)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
