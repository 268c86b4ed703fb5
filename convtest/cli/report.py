"""`convtest report`: results as a page for people, or as Markdown for a pull request."""

from pathlib import Path

import click

from convtest.cli.saying import say
from convtest.reporting.markdown import summary_text
from convtest.reporting.page import page_text
from convtest.results.merging import merged


@click.command(name="report")
@click.argument("results", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("report.html"),
    show_default=True,
    help="The page: one file that loads nothing.",
)
@click.option("--summary", type=click.Path(dir_okay=False, path_type=Path), help="Write Markdown for a pull request.")
def command(results: tuple[Path, ...], output: Path, summary: Path | None) -> None:
    """Show RESULTS, files that pytest --convtest-results wrote, as one page.

    Files of several shards become one; of an item that stands in more than one the last counts.
    """
    found = merged(results)
    for path in found.cut_off:
        say(f"{path} ends in mid-line: what wrote it was killed; what is whole is shown", err=True)
    if found.again:
        say(f"{found.again} results were replaced by later ones of the same item", err=True)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(page_text(found.results), encoding="utf-8")
    if summary is not None:
        summary.parent.mkdir(parents=True, exist_ok=True)
        summary.write_text(summary_text(found.results), encoding="utf-8")
    say(f"{len(found.results)} items: {output}")
