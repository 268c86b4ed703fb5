"""Classes of data. msgspec makes them in C: a run makes well over a hundred, and dataclasses compiles code for each.

What users import, and what holds fields that are not compared, are dataclasses as before.
"""

from msgspec import Struct, field, to_builtins
from msgspec.structs import force_setattr, replace

__all__ = ["Struct", "field", "force_setattr", "replace", "to_builtins"]
