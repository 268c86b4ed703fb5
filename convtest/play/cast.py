"""Which client plays which session, and with which options: known to all that ask on a session's behalf."""

from collections.abc import Callable, Mapping
from typing import Any

from convtest.clients.port import Made
from convtest.scenario.model import Act, Scenario


class Cast:
    """Begins with the sessions that the scenario declares; acts add sessions and change options while it is played."""

    def __init__(self, scenario: Scenario, make: Callable[[str], Made]) -> None:
        self._make = make
        self._default: tuple[str, Mapping[str, Any]] = (scenario.client, dict(scenario.options))
        self._of = {spec.name: (spec.client, spec.options) for spec in scenario.sessions.values()}

    def __contains__(self, session: object) -> bool:
        return session in self._of

    def client(self, session: str) -> str:
        """The name of its profile."""
        return self._of.get(session, self._default)[0]

    def made(self, session: str | None) -> Made:
        """What the session is opened with; for one that nobody knows what the scenario's client is."""
        return self._make(self._of.get(session or "", self._default)[0])

    def opened(self, session: str) -> Mapping[str, Any]:
        """The options that the session is opened with; from here on it is known."""
        client, options = self._of.setdefault(session, self._default)
        return {**self._make(client).options, **options}

    def options(self, session: str) -> Mapping[str, Any]:
        """All that the session's client was given: the profile's keys with the scenario's own over them."""
        client, options = self._of.get(session, (self._default[0], {}))
        return {**self._make(client).options, **options}

    def override(self, act: Act) -> None:
        """The act's options over those of the session it acts on; they hold for the session it makes."""
        client, options = self._of.get(act.session) or self._of.get(act.target, self._default)
        self._of[act.session] = (client, {**options, **act.options})
