"""All mutators, by class."""

from convtest.mutate.catalogue.conduct import CONDUCT
from convtest.mutate.catalogue.history import HISTORY
from convtest.mutate.catalogue.honest import HONEST
from convtest.mutate.catalogue.kept import KEPT
from convtest.mutate.catalogue.lives import LIVES
from convtest.mutate.catalogue.prompts import PROMPTS
from convtest.mutate.catalogue.sessions import SESSIONS
from convtest.mutate.catalogue.settings import SETTINGS
from convtest.mutate.catalogue.tools import TOOLS
from convtest.mutate.catalogue.yielded import YIELDED

BROKEN = (*HISTORY, *KEPT, *PROMPTS, *SETTINGS, *TOOLS, *SESSIONS, *LIVES, *YIELDED, *CONDUCT)
ALL = (*BROKEN, *HONEST)

__all__ = ["ALL", "BROKEN", "HONEST"]
