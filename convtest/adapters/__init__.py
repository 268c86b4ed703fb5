"""Session clients for applications on a framework: what they all repeat, and ready ones that are imported when used.

`Adapter` is the base class for one's own.
"""

from convtest.adapters.base import Adapter as Adapter
