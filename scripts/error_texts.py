"""What the errors of convtest say, read out of its source: nobody has to meet one to have it on its page."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import convtest.errors
from convtest.errors import ConvtestError

PLAIN = {"ValueError", "LookupError"}
"""In the language's own modules: their texts become problems."""
PASSED_ON = {
    "benchmarks.py": "what the system says of a file",
    "baseline.py": "the same",
    "cells.py": "the first line of its trunk's error",
    "client.py": "beside the CLI's own words",
    "query.py": "the same",
    "comparing.py": "where nothing differs",
    "disturbing.py": "a duration that is none",
    "expecting.py": "a duration that is none, and lists of those above",
    "lowering.py": "a duration that is none",
    "retention.py": "a pool that is too small",
    "sweeping.py": "what is wrong with a disturbance",
}
"""Modules in which an error passes on words that come from elsewhere, and whose those are."""
PROBLEM = "Problem"
"""Not an exception: one thing that is wrong in the file of a scenario."""


@dataclass(frozen=True)
class Told:
    text: str
    help: str
    page: str
    where: str
    """Module and line."""


def classes(package: Path) -> dict[str, str]:
    """Name of each error's class, and its page."""
    import importlib

    found = {}
    for path in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and any(keyword.arg == "page" for keyword in node.keywords):
                module = ".".join(path.relative_to(package.parent).with_suffix("").parts)
                found[node.name] = getattr(importlib.import_module(module), node.name).page
    for name, value in vars(convtest.errors).items():
        if isinstance(value, type) and issubclass(value, ConvtestError):
            found[name] = value.page
    found.pop("ScenarioError")  # what it holds are problems, each with its text
    return {**found, PROBLEM: "scenarios"}


ANY = "…"
MOST = 24
"""Texts that one place may come to; more would be a table nobody reads."""
Function = ast.FunctionDef | ast.AsyncFunctionDef
Known = dict[str, list[str]]


class Source:
    """The package as trees, and what expressions in it may come to as text."""

    def __init__(self, package: Path) -> None:
        self.trees = {path: ast.parse(path.read_text()) for path in sorted(package.rglob("*.py"))}
        self.functions: dict[str, list[tuple[Path, Function]]] = {}
        self.inits: dict[str, Function] = {}
        self.bases: dict[str, str] = {}
        self.constants: dict[tuple[Path, str], ast.expr] = {}
        for path, tree in self.trees.items():
            for node in ast.walk(tree):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    self.functions.setdefault(node.name, []).append((path, node))
                elif isinstance(node, ast.ClassDef):
                    self.bases[node.name] = next((one.id for one in node.bases if isinstance(one, ast.Name)), "")
                    own = (one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__")
                    if (init := next(own, None)) is not None:
                        self.inits[node.name] = init
            for node in tree.body:
                if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                    self.constants[path, node.targets[0].id] = node.value

    def init_of(self, name: str) -> Function | None:
        while name and name not in self.inits:
            name = self.bases.get(name, "")
        return self.inits.get(name)

    def function(self, name: str, path: Path) -> tuple[Path, Function] | None:
        """That of this module, else the only one of its name."""
        found = self.functions.get(name, [])
        here = [one for one in found if one[0] == path]
        return (here or (found if len(found) == 1 else [None]))[0]

    def texts(self, node: ast.expr | None, scope: "Scope", depth: int = 0) -> list[str]:
        """What it may come to; `…` for what cannot be known."""
        found = list(dict.fromkeys(self._texts(node, scope, depth + 1))) if depth < 12 else [ANY]
        return found[:MOST] or [ANY]

    def _texts(self, node: ast.expr | None, scope: "Scope", depth: int) -> Iterator[str]:
        match node:
            case ast.Constant(value=str() as text):
                yield text
            case ast.Constant(value=None):
                return
            case ast.JoinedStr(values=parts):
                yield from self._joined(parts, scope, depth)
            case ast.BinOp(op=ast.Add(), left=left, right=right):
                for one in self.texts(left, scope, depth):
                    yield from (one + other for other in self.texts(right, scope, depth))
            case ast.IfExp(body=body, orelse=orelse):
                yield from (one for part in (body, orelse) for one in self.texts(part, scope, depth))
            case ast.BoolOp(op=ast.Or(), values=values):
                yield from (one for part in values for one in self.texts(part, scope, depth))
            case ast.NamedExpr(value=value) | ast.Starred(value=value):
                yield from self.texts(value, scope, depth)
            case ast.Tuple(elts=elements) | ast.List(elts=elements) if elements:
                yield from self.texts(elements[0], scope, depth)
            case ast.Dict(values=values):
                yield from (one for part in values for one in self.texts(part, scope, depth))
            case ast.Subscript(value=value):
                yield from self.texts(value, scope, depth)
            case ast.Name(id=name) | ast.Attribute(value=ast.Name(id="self"), attr=name):
                yield from self._name(name, scope, depth)
            case (
                ast.Call(func=ast.Name(id="next"), args=[value, *_])
                | ast.Call(func=ast.Name(id="visible"), args=[value])
            ):
                yield from self.texts(value, scope, depth)
            case ast.GeneratorExp(elt=value) | ast.ListComp(elt=value):
                yield from self.texts(value, scope, depth)
            case ast.Call(func=ast.Name(id=name)) | ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr=name)):
                yield from self._returned(name, scope, depth)
            case _:
                yield ANY

    def _joined(self, parts: list[ast.expr], scope: "Scope", depth: int) -> Iterator[str]:
        made = [""]
        for part in parts:
            if isinstance(part, ast.FormattedValue):
                inside = part.value
                more = self.texts(inside, scope, depth) if isinstance(inside, ast.Name | ast.IfExp) else [ANY]
                more = more if len(more) <= 4 else [ANY]
            else:
                more = self.texts(part, scope, depth)
            made = [one + other for one in made for other in more]
        yield from made

    def _name(self, name: str, scope: "Scope", depth: int) -> Iterator[str]:
        if name in scope.known:
            yield from scope.known[name]
            return
        given = scope.given(name)
        if not given and (constant := self.constants.get((scope.path, name))) is not None:
            given = [constant]
        for value in given:
            yield from self.texts(value, scope, depth)
        if not given:
            yield ANY

    def _returned(self, name: str, scope: "Scope", depth: int) -> Iterator[str]:
        found = self.function(name, scope.path)
        if found is None:
            yield ANY
            return
        path, function = found
        inner = Scope(path, function, {})
        for node in ast.walk(function):
            if (isinstance(node, ast.Return | ast.Yield) and node.value is not None) or isinstance(node, ast.YieldFrom):
                yield from self.texts(node.value, inner, depth)


@dataclass(frozen=True)
class Scope:
    """A function, and what is known of its parameters."""

    path: Path
    function: Function | None
    known: Known

    def given(self, name: str) -> list[ast.expr]:
        """What is assigned to it in the function, walked over or bound."""
        if self.function is None:
            return []
        found: list[ast.expr] = []
        for node in ast.walk(self.function):
            match node:
                case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == name:
                    found.append(value)
                case ast.Assign(targets=[ast.Tuple(elts=[*names])], value=ast.Tuple(elts=[*values])):
                    pairs = zip(names, values, strict=False)
                    found += [
                        value for one, value in pairs if name in (getattr(one, "id", ""), getattr(one, "attr", ""))
                    ]
                case ast.Assign(targets=[ast.Tuple(elts=[ast.Name(id=target), *_])], value=value) if target == name:
                    found.append(value)
                case ast.For(target=ast.Name(id=target), iter=value) if target == name:
                    found.append(value)
                case ast.For(target=ast.Tuple(elts=[ast.Name(id=target), *_]), iter=value) if target == name:
                    found.append(value)
                case ast.NamedExpr(target=ast.Name(id=target), value=value) if target == name:
                    found.append(value)
                case ast.comprehension(target=ast.Name(id=target), iter=value) if target == name:
                    found.append(value)
                case _:
                    pass
        return found

    @property
    def parameters(self) -> list[str]:
        if self.function is None:
            return []
        arguments = self.function.args
        names = [one.arg for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
        return [one for one in names if one not in ("self", "cls")]


def _plain(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def told_in(package: Path) -> list[Told]:
    """Every error that the package can tell, in the order of the source; of what is only known at run time the text is
    `…`."""
    source, pages = Source(package), classes(package)
    found: list[Told] = []
    for path, tree in source.trees.items():
        calls = list(_calls(tree))
        for function, call in calls:
            name, scope = _called(call), Scope(path, function, {})
            if name in PLAIN and {"scenario", "retention"} & set(path.parts):
                found += [Told(one, "", "scenarios", where_of(path, call)) for one in source.texts(call.args[0], scope)]
            if name in pages:
                for inner in _ways(source, call, scope, calls):
                    found += _told(source, pages[name], name, call, inner)
    return list(dict.fromkeys(found))


def _ways(source: Source, call: ast.Call, scope: Scope, calls: list[tuple[Function | None, ast.Call]]) -> list[Scope]:
    """The function as it stands, or, where the text is made of what it is handed, as each of its callers calls it."""
    function = scope.function
    if function is None or function.name == "__init__" or not _handed(call, scope):
        return [scope]
    ways = [
        Scope(scope.path, function, _bound(source, scope.parameters, other, Scope(scope.path, caller, {})))
        for caller, other in calls
        if _called(other) == function.name and caller is not function
    ]
    return ways or [scope]


def says_nothing(text: str) -> bool:
    return not any(letter.isalpha() for letter in text)


def _calls(tree: ast.AST, inside: Function | None = None) -> Iterator[tuple[Function | None, ast.Call]]:
    for node in ast.iter_child_nodes(tree):
        mine = node if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else inside
        if isinstance(node, ast.Call):
            yield mine, node
        yield from _calls(node, mine)


def _called(call: ast.Call) -> str:
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _handed(call: ast.Call, scope: Scope) -> bool:
    names = {one.id for part in call.args[:1] for one in ast.walk(part) if isinstance(one, ast.Name)}
    return any(name in scope.parameters and not scope.given(name) for name in names)


def _bound(source: Source, parameters: list[str], call: ast.Call, scope: Scope) -> Known:
    known = {name: source.texts(value, scope) for name, value in zip(parameters, call.args, strict=False)}
    return known | {one.arg: source.texts(one.value, scope) for one in call.keywords if one.arg}


def _told(source: Source, page: str, name: str, call: ast.Call, scope: Scope) -> Iterator[Told]:
    where = where_of(scope.path, call)
    if name == PROBLEM:
        helps = source.texts(call.args[2], scope) if len(call.args) > 2 else [""]
        for text in source.texts(call.args[0], scope):
            yield Told(_tidy(text), _either(helps), page, where)
        return
    init = source.init_of(name)
    if init is None:
        for text in source.texts(call.args[0] if call.args else None, scope):
            yield Told(_tidy(text), "", page, where)
        return
    inner = Scope(scope.path, init, {})
    given = _bound(source, inner.parameters, call, scope)
    left_out = {one: [""] if one in ("help", "command", "partial", "late") else [ANY] for one in inner.parameters}
    known = left_out | given
    inner = Scope(scope.path, init, known)
    by_text: dict[str, list[str]] = {}
    for whole in source.texts(_super(init), inner):
        text, _, help = whole.partition("\n")
        by_text.setdefault(_tidy(text), []).append(help)
    for text, helps in by_text.items():
        yield Told(text, _either(helps), page, where)


def where_of(path: Path, call: ast.Call) -> str:
    return f"{path.name}:{call.lineno}"


def _super(init: Function) -> ast.expr | None:
    for node in ast.walk(init):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "__init__":
            return node.args[0] if node.args else None
    return None


def _either(helps: list[str]) -> str:
    kept = [" ".join(one.split()) for one in dict.fromkeys(helps)]
    return "; or ".join(dict.fromkeys(one for one in kept if one and one != ANY))


def _tidy(text: str) -> str:
    """Without the places around it, which are another one in each case."""
    text = " ".join(text.split())
    for start in ("…: ",):
        text = text.removeprefix(start)
    return text.rpartition(" — ")[0] or text
