"""Classes of data. msgspec makes them in C: a run makes well over a hundred, and dataclasses compiles code for each.

Events and the port stay dataclasses, since clients change them by `dataclasses.replace`; so does what has fields that
are not compared.
"""

from msgspec import Struct, field, to_builtins
from msgspec.structs import force_setattr, replace

__all__ = ["Struct", "field", "force_setattr", "replace", "to_builtins"]
