"""A run of retention as pictures: SVG files that stand on their own."""

from pathlib import Path

from convtest.retention.baseline import Run
from convtest.retention.pictures.heat import heat
from convtest.retention.pictures.panels import distance_in_tokens, distance_in_turns, prompt_tokens
from convtest.retention.pictures.tables import families, leaks
from convtest.retention.verdict import Verdict


def pictures(now: Run, base: Run | None = None, verdict: Verdict | None = None) -> dict[str, str]:
    """Their texts by the names of their files; those that nothing is known for are left out."""
    made = {
        "matrix.svg": heat(now),
        "distance-turns.svg": distance_in_turns(now, base),
        "distance-tokens.svg": distance_in_tokens(now, base),
        "prompt-tokens.svg": prompt_tokens(now, base),
        "leaks.svg": leaks(now),
        "families.svg": families(verdict) if verdict else None,
    }
    return {name: text for name, text in made.items() if text is not None}


def draw(folder: Path, made: dict[str, str]) -> None:
    """Write them into a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in made.items():
        (folder / name).write_text(text, encoding="utf-8")
