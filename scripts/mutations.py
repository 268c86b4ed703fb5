"""Small edits of a module that each change what it does, for scripts/survivors.py."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

_TELLS = frozenset({"expected", "seen", "advice", "message", "key", "place", "client", "detail", "name", "code", "why"})
"""Keywords whose values are words for people, or say whose they are."""
_LAYERS = {"wire": "reply", "reply": "wire", "mass": "wire"}
_SWAPS: dict[type[ast.AST], str] = {
    ast.Eq: "!=", ast.NotEq: "==", ast.In: "not in", ast.NotIn: "in", ast.Is: "is not", ast.IsNot: "is",
    ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">",
}  # fmt: skip
_CALLS = {"any": "all", "all": "any", "min": "max", "max": "min", "sorted": "list", "reversed": "list"}
_AS_THEY_ARE = frozenset({"strip", "lower", "casefold"})
"""Methods whose loss leaves a text as it is."""
_SAME = frozenset({"collapsed", "merged", "folded", "abs"})
"""Functions whose loss leaves their one argument as it is."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One edit: of the bytes from `start` to `end`; `first` and `last` are the lines of the statement that it is in."""

    function: str
    """Its qualified name; empty at the module's own level."""
    line: int
    first: int
    last: int
    start: int
    end: int
    text: str

    def of(self, source: bytes) -> bytes:
        return source[: self.start] + self.text.encode() + source[self.end :]

    def lines(self, source: bytes) -> tuple[str, str]:
        """What the edit makes of the line or lines that it is in, before and after, each as one line."""
        start = source.rfind(b"\n", 0, self.start) + 1
        end = source.find(b"\n", self.end) % (len(source) + 1)
        now = source[start : self.start] + self.text.encode() + source[self.end : end]
        return " ".join(source[start:end].decode().split()), " ".join(now.decode().split())


class _Maker:
    def __init__(self, source: bytes) -> None:
        self._source = source
        starts = [0]
        for line in source.splitlines(keepends=True):
            starts.append(starts[-1] + len(line))
        self._starts = starts
        self.found: list[Mutant] = []

    def _offset(self, line: int, column: int) -> int:
        return self._starts[line - 1] + column

    def text(self, node: ast.expr) -> str:
        start = self._offset(node.lineno, node.col_offset)
        end = self._offset(node.end_lineno or 0, node.end_col_offset or 0)
        return self._source[start:end].decode()

    def note(self, where: "_Where", node: ast.expr | ast.stmt | ast.pattern, text: str) -> None:
        start = self._offset(node.lineno, node.col_offset)
        end = self._offset(node.end_lineno or 0, node.end_col_offset or 0)
        one = Mutant(where.function, node.lineno, where.first, where.last, start, end, text)
        try:
            ast.parse(one.of(self._source))
        except SyntaxError:
            return
        self.found.append(one)


@dataclass(frozen=True, slots=True)
class _Where:
    function: str
    first: int
    last: int


def mutants(source: bytes) -> list[Mutant]:
    """In the order of the source. Docstrings, annotations, defaults, decorators and words for people stay."""
    maker = _Maker(source)
    _body(maker, ast.parse(source).body, "")
    unique = {(one.start, one.end, one.text): one for one in maker.found}
    return sorted(unique.values(), key=lambda one: (one.start, one.end))


def _body(maker: _Maker, body: list[ast.stmt], function: str) -> None:
    known: set[str] = set()
    for one in body:
        _statement(maker, one, function, known)


def _statement(maker: _Maker, one: ast.stmt, function: str, known: set[str]) -> None:
    where = _Where(function, one.lineno, _last_of_head(one))
    match one:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            name = f"{function}.<locals>.{one.name}" if _is_in_function(function) else f"{function}{one.name}"
            inside = {argument.arg for argument in [*one.args.args, *one.args.kwonlyargs]}
            for each in one.body:
                _statement(maker, each, name, inside)
        case ast.ClassDef():
            for each in one.body:
                if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
                    _statement(maker, each, f"{function}{one.name}.", known)
        case ast.If() | ast.While():
            # Whether it is ever taken, and ever not; a loop without an end would only be waited for.
            maker.note(where, one.test, "False")
            if isinstance(one, ast.If):
                maker.note(where, one.test, "True")
            _expression(maker, one.test, where, is_test=True)
            _blocks(maker, [one.body, one.orelse], function, known)
        case ast.For() | ast.AsyncFor():
            maker.note(where, one.iter, "()")
            _expression(maker, one.iter, where)
            _blocks(maker, [one.body, one.orelse], function, known)
        case ast.With() | ast.AsyncWith():
            for item in one.items:
                _expression(maker, item.context_expr, where)
            _blocks(maker, [one.body], function, known)
        case ast.Try():
            handlers = [handler.body for handler in one.handlers]
            _blocks(maker, [one.body, *handlers, one.orelse, one.finalbody], function, known)
        case ast.Match():
            _match(maker, one, where, known)
        case _:
            _simple(maker, one, where, known)


def _blocks(maker: _Maker, blocks: list[list[ast.stmt]], function: str, known: set[str]) -> None:
    for block in blocks:
        for each in block:
            _statement(maker, each, function, known)


def _is_in_function(function: str) -> bool:
    return bool(function) and not function.endswith(".")


def _last_of_head(one: ast.stmt) -> int:
    body = getattr(one, "body", None) or getattr(one, "cases", None)
    if isinstance(one, ast.Match):
        return one.lineno
    return max(one.lineno, body[0].lineno - 1) if body else one.end_lineno or one.lineno


def _match(maker: _Maker, one: ast.Match, where: _Where, known: set[str]) -> None:
    for case in one.cases:
        inside = _Where(where.function, case.pattern.lineno, case.pattern.end_lineno or 0)
        if isinstance(case.pattern, ast.MatchOr):
            for gone in case.pattern.patterns:
                rest = [ast.unparse(each) for each in case.pattern.patterns if each is not gone]
                maker.note(inside, case.pattern, " | ".join(rest))
        elif isinstance(case.pattern, ast.MatchValue):
            maker.note(inside, case.pattern, "'nothing of it'")
        if case.guard is not None:
            maker.note(inside, case.guard, "True")
            maker.note(inside, case.guard, "False")
            _expression(maker, case.guard, inside, is_test=True)
        _blocks(maker, [case.body], where.function, known)


def _simple(maker: _Maker, one: ast.stmt, where: _Where, known: set[str]) -> None:
    match one:
        case ast.Expr(value=ast.Constant()):
            return
        case ast.Expr():
            maker.note(where, one, "yield from ()" if isinstance(one.value, ast.Yield | ast.YieldFrom) else "pass")
            _expression(maker, one.value, where)
        case ast.Return(value=None):
            maker.note(where, one, "pass")
        case ast.Return(value=ast.expr() as value):
            if not isinstance(value, ast.Constant | ast.Compare | ast.BoolOp | ast.UnaryOp):
                maker.note(where, value, "None")
            _expression(maker, value, where)
        case ast.Assign() | ast.AugAssign() | ast.AnnAssign():
            _assignment(maker, one, where, known)
        case ast.Continue():
            maker.note(where, one, "pass")
            maker.note(where, one, "break")
        case ast.Break():
            maker.note(where, one, "pass")


def _assignment(maker: _Maker, one: ast.Assign | ast.AugAssign | ast.AnnAssign, where: _Where, known: set[str]) -> None:
    targets = one.targets if isinstance(one, ast.Assign) else [one.target]
    names = {each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)}
    plain = all(isinstance(each, ast.Name) for each in targets)
    # Without its first assignment a name is only missing.
    if where.function and (not plain or names <= known or isinstance(one, ast.AugAssign)) and one.value is not None:
        maker.note(where, one, "pass")
    known |= names
    if one.value is not None and (where.function or not _is_type(one.value)):
        _expression(maker, one.value, where)


def _is_type(value: ast.expr) -> bool:
    return isinstance(value, ast.Subscript) or (
        isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id in {"get_args", "TypeVar"}
    )


def _expression(maker: _Maker, node: ast.expr, where: _Where, *, is_test: bool = False) -> None:
    if isinstance(node, ast.JoinedStr):
        return  # words for people; their places inside are not told rightly before Python 3.12
    for text in _others(maker, node, is_test=is_test):
        maker.note(where, node, text)
    for child in _children(node):
        _expression(maker, child, where, is_test=isinstance(node, ast.BoolOp | ast.IfExp | ast.UnaryOp))
    if isinstance(node, ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp):
        for generator in node.generators:
            _expression(maker, generator.iter, where)
            for test in generator.ifs:
                maker.note(where, test, "True")
                _expression(maker, test, where, is_test=True)


def _children(node: ast.expr) -> Iterator[ast.expr]:
    match node:
        case ast.Call():
            yield node.func
            yield from node.args
            yield from (one.value for one in node.keywords if one.arg not in _TELLS)
        case ast.Lambda():
            yield node.body
        case _:
            yield from (one for one in ast.iter_child_nodes(node) if isinstance(one, ast.expr))


def _others(maker: _Maker, node: ast.expr, *, is_test: bool) -> Iterator[str]:
    match node:
        case ast.Compare():
            yield from _compared(maker, node, is_test=is_test)
            yield from _without_parts(maker, node)
        case ast.BoolOp():
            word = "and" if isinstance(node.op, ast.And) else "or"
            parts = [_grouped(maker, one) for one in node.values]
            for index in range(len(parts)):
                yield f"({f' {word} '.join(parts[:index] + parts[index + 1 :])})"
        case ast.UnaryOp(op=ast.Not()) if is_test:
            return
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield _grouped(maker, node.operand)
        case ast.IfExp():
            yield f"({maker.text(node.body)})"
            yield f"({maker.text(node.orelse)})"
        case ast.BinOp():
            yield from _binary(maker, node)
        case ast.Constant():
            yield from _constants(node.value)
        case ast.Subscript():
            yield from _sliced(maker, node)
        case ast.Tuple() | ast.List():
            yield from _fewer(maker, node)
        case ast.Call():
            yield from _called(maker, node)


def _grouped(maker: _Maker, node: ast.expr) -> str:
    text = maker.text(node)
    return text if isinstance(node, ast.Name | ast.Call | ast.Attribute | ast.Constant) else f"({text})"


def _compared(maker: _Maker, node: ast.Compare, *, is_test: bool) -> Iterator[str]:
    """Where it is part of a test, that test is also taken as always and as never so: only its limits are left."""
    parts = [node.left, *node.comparators]
    for place, op in enumerate(node.ops):
        other = _SWAPS[type(op)]
        if not is_test or isinstance(op, ast.Lt | ast.LtE | ast.Gt | ast.GtE):
            words = [other if index == place else _word(each) for index, each in enumerate(node.ops)]
            rest = " ".join(f"{word} {_grouped(maker, each)}" for word, each in zip(words, parts[1:], strict=True))
            yield f"({_grouped(maker, parts[0])} {rest})"


def _word(op: ast.cmpop) -> str:
    return ast.unparse(ast.Compare(ast.Name("a"), [op], [ast.Name("b")]))[2:-2]


def _without_parts(maker: _Maker, node: ast.Compare) -> Iterator[str]:
    """Each of several words that are compared with, taken out."""
    right = node.comparators[-1]
    if isinstance(node.ops[-1], ast.In | ast.NotIn) and isinstance(right, ast.Set | ast.Tuple):
        left = maker.text(node.left)
        for gone in right.elts:
            rest = ", ".join(maker.text(one) for one in right.elts if one is not gone)
            yield f"({left} {_word(node.ops[-1])} ({rest},))" if rest else f"({left} {_word(node.ops[-1])} ())"


def _binary(maker: _Maker, node: ast.BinOp) -> Iterator[str]:
    left, right = _grouped(maker, node.left), _grouped(maker, node.right)
    match node.op:
        case ast.Add():
            yield left
            yield right
        case ast.Sub():
            yield left
            yield f"({left} + {right})"
        case ast.BitOr():
            yield left
            yield right
        case _:
            yield left


def _constants(value: object) -> Iterator[str]:
    match value:
        case bool():
            yield str(not value)
        case int() | float():
            yield str(value + 1)
        case str() if value in _LAYERS:
            yield repr(_LAYERS[value])


def _sliced(maker: _Maker, node: ast.Subscript) -> Iterator[str]:
    value = maker.text(node.value)
    match node.slice:
        case ast.Slice(lower=lower, upper=upper):
            if lower is not None:
                yield f"{value}[:{maker.text(upper) if upper is not None else ''}]"
            if upper is not None:
                yield f"{value}[{maker.text(lower) if lower is not None else ''}:]"
        case ast.Constant(value=0):
            yield f"{value}[-1]"
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=1)):
            yield f"{value}[0]"


def _fewer(maker: _Maker, node: ast.Tuple | ast.List) -> Iterator[str]:
    """A part taken out, where the others are of its kind: of what is named, or joined by stars."""
    if len(node.elts) < 2 or not isinstance(node.ctx, ast.Load):
        return
    alike = all(isinstance(one, ast.Constant) and isinstance(one.value, str) for one in node.elts)
    if alike or any(isinstance(one, ast.Starred) for one in node.elts):
        for gone in node.elts:
            rest = ", ".join(maker.text(one) for one in node.elts if one is not gone)
            yield f"[{rest}]" if isinstance(node, ast.List) else f"({rest},)"


def _called(maker: _Maker, node: ast.Call) -> Iterator[str]:
    whole, function = maker.text(node), maker.text(node.func)
    match node.func:
        case ast.Name(id=name) if name in _CALLS and node.args:
            yield _CALLS[name] + (f"({maker.text(node.args[0])})" if _CALLS[name] == "list" else whole[len(name) :])
        case ast.Name(id=name) if name in _SAME and len(node.args) == 1:
            yield maker.text(node.args[0])
        case ast.Attribute(attr=name, value=value) if name in _AS_THEY_ARE:
            yield maker.text(value)
        case ast.Attribute(attr="get") if isinstance(node.args[0], ast.Constant):
            yield f"{function}('nothing of it')"
    for gone in node.keywords:
        if gone.arg not in _TELLS and gone.arg is not None:
            rest = [maker.text(one) for one in node.args]
            rest += [
                f"{one.arg}={maker.text(one.value)}" if one.arg else f"**{maker.text(one.value)}"
                for one in node.keywords
                if one is not gone
            ]
            yield f"{function}({', '.join(rest)})"
