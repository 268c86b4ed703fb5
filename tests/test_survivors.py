"""scripts/survivors: what its mutants are."""

import ast
from pathlib import Path
from textwrap import dedent

import pytest

from scripts.mutations import mutants

SCRIPTS = Path(__file__).parent.parent / "scripts"


def edits(source: str) -> list[tuple[str, str, str]]:
    """(function, before, after) of each."""
    data = dedent(source).encode()
    return [(one.function, *one.lines(data)) for one in mutants(data)]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("if a < b:", {"if False:", "if True:", "if (a <= b):"}),
        ("if a == b:", {"if False:", "if True:"}),
        ("while a != b:", {"while False:"}),
        ("for a in b:", {"for a in ():"}),
    ],
)
def test_a_branch_is_always_taken_and_never(before: str, after: set[str]) -> None:
    found = edits(f"def f(a, b):\n    {before}\n        g()\n")

    assert {now for name, was, now in found if was == before} == after
    assert ("f", "g()", "pass") in found


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("return a and b", {"return (b)", "return (a)"}),
        ("return a == b", {"return (a != b)"}),
        ("return not a", {"return a"}),
        ("return a if b else 2", {"return None", "return (a)", "return (2)", "return a if b else 3"}),
        ("return a + b", {"return None", "return a", "return b"}),
        ("return a[1:]", {"return None", "return a[:]", "return a[2:]"}),
        ("return a[0]", {"return None", "return a[-1]", "return a[1]"}),
        ("return True", {"return False"}),
        ('return f("wire")', {"return None", "return f('reply')"}),
        ("return [*a, b]", {"return None", "return [b]", "return [*a]"}),
        ("return [x for x in a if b]", {"return None", "return [x for x in a if True]"}),
        ("return any(a)", {"return None", "return all(a)"}),
        ("return sorted(a, key=b)", {"return None", "return list(a)"}),
        ("return a.strip()", {"return None", "return a"}),
        ("return a.get(b)", {"return None"}),
        ('return a.get("b")', {"return None", "return a.get('nothing of it')"}),
        ("return f(a, quiet=b)", {"return None", "return f(a)"}),
        ("yield a", {"yield from ()"}),
        ("a = b", {"pass"}),
        ("c = b", set()),
        ('return f(a, message="b", seen=b or a)', {"return None"}),
        ('return f"{a}{1 + 1}"', {"return None"}),
        ('"""Words for people."""', set()),
    ],
)
def test_an_expression_is_another_one(before: str, after: set[str]) -> None:
    assert {now for _, _, now in edits(f"def f(a, b):\n    {before}\n")} == after


def test_cases_are_left_out_and_names_are_those_of_the_functions() -> None:
    source = """
        LIMIT = 3

        class One:
            def two(self, a):
                def three():
                    match a:
                        case "x" | "y" if self:
                            h()
                return three
        """

    found = edits(source)

    assert ("", "LIMIT = 3", "LIMIT = 4") in found
    inner = {now for name, _, now in found if name == "One.two.<locals>.three"}
    assert inner == {
        "case 'x' if self:",
        "case 'y' if self:",
        'case "x" | "y" if True:',
        'case "x" | "y" if False:',
        "pass",
    }


def test_words_beyond_ascii_move_nothing() -> None:
    assert edits('def f(a):\n    return g("…", a[0])\n')[1:] == [
        ("f", 'return g("…", a[0])', 'return g("…", a[-1])'),
        ("f", 'return g("…", a[0])', 'return g("…", a[1])'),
    ]


def test_each_mutant_of_a_check_is_another_program() -> None:
    source = (SCRIPTS.parent / "convtest/checks/whole.py").read_bytes()
    found = mutants(source)

    assert len(found) > 10
    assert all(ast.dump(ast.parse(one.of(source))) != ast.dump(ast.parse(source)) for one in found)
