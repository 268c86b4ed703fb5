"""What the site makes of a page: blocks of code have the names of their files above them."""

import html
import re
from typing import Any


def on_page_markdown(markdown: str, **_: Any) -> str:
    """`` ```yaml file=a.yaml `` is how a page says it; the site's word is `title`."""
    titled = re.sub(r"^(`{3,}\w+) file=(\S+)$", r'\1 title="\2"', markdown, flags=re.MULTILINE)
    # In a table of GitHub's a bar in code is escaped, and shown without its backslash; here it would be shown.
    titled = re.sub(r"^\|.*$", lambda row: re.sub(r"`([^`]*\\\|[^`]*)`", _code, row[0]), titled, flags=re.MULTILINE)
    # Where a command is expected to fail, its page says so for the test that runs it.
    return re.sub(r"^(\$ .*?)[ ]+# exit \d+$", r"\1", titled, flags=re.MULTILINE)


def _code(found: re.Match[str]) -> str:
    return f"<code>{html.escape(found[1]).replace(chr(92) + '|', '&#124;')}</code>"
