"""Imports: what is to be done with a module as soon as somebody imports it; and a rest for the collector."""

import contextlib
import gc
import sys
from collections.abc import Callable, Collection, Iterator
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any


@contextlib.contextmanager
def with_modules(names: Collection[str], call: Callable[[Any], None]) -> Iterator[None]:
    """Calls with each of these modules that is there, and within it with each that is imported."""
    for name in names:
        if name in sys.modules:
            call(sys.modules[name])
    finder = _Finder(names, call)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


@contextlib.contextmanager
def resting() -> Iterator[None]:
    """Around what imports many modules, or reads many scenarios: all that is made stays, and the collector would look
    through it again and again. That is a sixth of the start of a run with one item, and a fifth of reading rows."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


class _Finder:
    def __init__(self, names: Collection[str], call: Callable[[Any], None]) -> None:
        self._names = names
        self._call = call

    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if name not in self._names:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def exec_module(module: Any) -> None:
                run(module)
                if self in sys.meta_path:
                    self._call(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec
