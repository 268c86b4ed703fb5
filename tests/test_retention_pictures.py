"""Pictures of retention stand on their own, say what the run says, and are readable in the dark and without colour."""

import re
from collections.abc import Iterator
from itertools import chain, pairwise
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest

from convtest.retention.baseline import Run, run_of
from convtest.retention.comparing import compare
from convtest.retention.pictures import draw, pictures
from convtest.retention.pictures.sheet import wide
from convtest.retention.probes import Probe
from tests.retention_records import ORIGIN, probe, run, trunks_of

SVG = "{http://www.w3.org/2000/svg}"


def broken(one: Probe) -> str:
    if one.disturb == "kill" and one.after > 1:
        return "M"
    if one.disturb == "compact" and one.family == "overwrite":
        return "S"
    return "L" if one.disturb == "fork-child" and one.family == "order" and one.repeat == 1 else "H"


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    base, now = run(), run(broken)
    return pictures(now, base, compare(base, now).verdict)


def texts(svg: str) -> list[str]:
    return [one.text or "" for one in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_each_picture_is_a_file_that_loads_nothing(made: dict[str, str], tmp_path: Path) -> None:
    draw(tmp_path / "pictures", made)

    assert {one.name for one in (tmp_path / "pictures").iterdir()} == {
        "matrix.svg", "distance-turns.svg", "distance-tokens.svg", "prompt-tokens.svg", "leaks.svg", "families.svg",
    }  # fmt: skip
    for text in made.values():
        root = ElementTree.fromstring(text)
        assert (root.find(f"{SVG}title"), root.find(f"{SVG}desc")) != (None, None)
        assert re.findall(r"https?://[^\"]+|url\(|<script|href", text) == ["http://www.w3.org/2000/svg"]


def test_every_class_has_a_look_and_nothing_is_drawn_outside(made: dict[str, str]) -> None:
    for name, text in made.items():
        root = ElementTree.fromstring(text)
        style = next(root.iter(f"{SVG}style")).text or ""
        used = {kind for one in root.iter() for kind in one.get("class", "").split()}
        assert {kind for kind in used if f".{kind}" not in style} == set(), name
        width, height = float(root.get("width", 0)), float(root.get("height", 0))
        for x, y in points(root):
            assert 0 <= x <= width, name
            assert 0 <= y <= height, name


def points(root: ElementTree.Element) -> Iterator[tuple[float, float]]:
    for one in root.iter():
        for pair in one.get("points", "").split():
            x, y = pair.split(",")
            yield float(x), float(y)
        if one.tag == f"{SVG}text":
            start, length = float(one.get("x", 0)), wide(one.text or "")
            start -= {"start": 0.0, "middle": 0.5, "end": 1.0}[one.get("text-anchor", "start")] * length
            yield start, float(one.get("y", 0))
            yield start + length, float(one.get("y", 0))


def test_the_matrix_points_at_the_disturbance_without_colour(made: dict[str, str]) -> None:
    said = texts(made["matrix.svg"])

    assert said.count("0/5 M") == 3 * 2 * 2
    assert said.count("0/5 S") == 2 * 3
    assert said.count("4/5 L") == 2 * 3
    assert said.count("5/5") == 4 * 18 - 12 - 6 - 6
    assert next(one for one in said if one in ("undisturbed", "compact", "fork-child", "kill")) == "undisturbed"
    assert "kill: 30 of 90 held" in made["matrix.svg"]


def test_a_broken_wire_has_a_frame() -> None:
    whole = run_of(ORIGIN, [probe()], [])
    torn = run_of(ORIGIN, [probe(intact=False, wire="A")], [])

    assert pictures(whole)["matrix.svg"].count('class="broken"') == 0
    assert pictures(torn)["matrix.svg"].count('class="broken"') == 1


def test_distances_show_both_runs(made: dict[str, str]) -> None:
    for name in ("distance-turns.svg", "distance-tokens.svg"):
        root = ElementTree.fromstring(made[name])
        hints = [one.text for one in chain.from_iterable(dot.iter(f"{SVG}title") for dot in root.iter(f"{SVG}circle"))]
        assert hints.count("0 of 30") == 2, name
        assert {"now", "baseline", "▼ kill", "undisturbed"} <= set(texts(made[name])), name


def test_prompt_tokens_fall_where_they_fell(made: dict[str, str]) -> None:
    root = ElementTree.fromstring(made["prompt-tokens.svg"])
    lines = [one.get("points", "").split() for one in root.iter(f"{SVG}polyline") if one.get("class") == "now"]
    heights = [[float(point.split(",")[1]) for point in line] for line in lines if len(line) > 2]

    falls = [sum(after > before for before, after in pairwise(line)) for line in heights]
    assert sorted(falls) == [0] * 15 + [1] * 5
    assert sum(one.get("class") == "rule" for one in root.iter(f"{SVG}polyline")) == 15


def test_what_nobody_reported_is_no_picture() -> None:
    silent = msgspec.structs.replace(run(), conversations=())

    assert set(pictures(silent)) == {"matrix.svg", "distance-turns.svg", "leaks.svg"}


def test_leaks_are_counted_by_who_was_asked_and_whose_value_it_was() -> None:
    asked = [
        probe(session="bob", outcome="L", leaked="alice"),
        probe(id="b", session="alice"),
        probe(id="c", outcome="L"),
    ]

    said = texts(pictures(run_of(ORIGIN, asked, []))["leaks.svg"])

    assert said.count("1 of 1") == 2
    assert {"alice", "bob", "another"} <= set(said)
    assert (
        texts(pictures(run(repeats=1))["leaks.svg"])[-1]
        == "no leak in 72 replies: at most 4.2% of them would leak (95 %)"
    )


def test_families_have_their_difference_and_its_interval(made: dict[str, str]) -> None:
    said = texts(made["families.svg"])

    assert said[0] == "By how much less is held: regressed"
    assert "100% → 80%" not in said
    assert any(re.fullmatch(r"\+0\.\d{3}, p [<=] 0\.\d{3} \(Holm\)", one) for one in said)
    assert said.index("all") < said.index("order") < said.index("recall")


def test_names_are_text_only() -> None:
    nasty = '<script>"&\x1b[31m'
    made = pictures(run_of(ORIGIN, [probe(family=nasty, disturb=nasty, session=nasty)], []), run())

    for text in made.values():
        ElementTree.fromstring(text)
        assert "<script>" not in text
        assert "\x1b" not in text


def test_a_run_of_nothing_is_still_a_picture() -> None:
    empty: Run = run_of(ORIGIN, [], trunks_of(0))

    for text in pictures(empty).values():
        ElementTree.fromstring(text)


def luminance(colour: str) -> float:
    full = colour * 2 if len(colour) == 3 else colour
    parts = [int(full[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """By WCAG 2.2, which asks for 4.5 of text."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("dark", [False, True])
def test_text_stands_out_in_the_light_and_in_the_dark(made: dict[str, str], dark: bool) -> None:
    style = made["matrix.svg"].partition("<style>")[2].partition("</style>")[0]
    light, _, rest = style.partition("@media(prefers-color-scheme:dark)")

    def fill(kind: str) -> str:
        found = re.findall(rf"(?:^|[}}{{\s]){re.escape(kind)}\{{[^}}]*?fill:#([0-9a-f]+)", rest if dark else light)
        return str(found[0])

    for ground in (".paper", ".all", ".most", ".some", ".empty"):
        assert contrast(fill("text"), fill(ground)) >= 4.5, ground
    assert contrast(fill(".dim"), fill(".paper")) >= 4.5
    assert contrast(fill("text.none"), fill(".none")) >= 4.5
