"""The session client port: what convtest asks of the adapter for what is under test."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from convtest.clients.options import Wanted
from convtest.clock import Clock, RealClock
from convtest.config import Profile
from convtest.errors import ClientError
from convtest.events import ErrorCode, Event
from convtest.limits import DEFAULTS, Limits
from convtest.policy import Policy
from convtest.wire.messages_api import PATH


class SessionError(Exception):
    """A client's named refusal, from connect or query: `session_not_found`, `not_connected` …"""

    def __init__(self, code: ErrorCode, message: str) -> None:
        self.code: ErrorCode = code
        super().__init__(message)


class ApplicationGone(ClientError, page="clients#an-application-behind-http"):
    """Nothing listens where a client's application is to be: an error of the set-up, and no answer of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A tool to offer to the model. `call` returns (text for the model, whether it is an error)."""

    name: str
    description: str
    input_schema: Mapping[str, Any]
    call: Callable[[Mapping[str, Any]], Awaitable[tuple[str, bool]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """Everything that a client is given when a session is opened; a new client is made for each opening."""

    session: str
    """The session's name in the scenario."""
    client: str = ""
    """The name of the profile, for errors."""
    options: Mapping[str, Any]
    """The profile's keys, with the scenario's, the session's and the step's options over them."""
    base_url: str
    """Where the model answers; requests to it must go through `transport`."""
    api_key: str
    transport: Any
    """An httpx.AsyncBaseTransport; what is sent through it belongs to this session's lane."""
    workspace: Path
    store: Path
    """A folder that outlives the client: sessions saved here can be resumed."""
    tools: tuple[Tool, ...] = ()
    resume: str | None = None
    """The id of a session to go on with."""
    fork: bool = False
    """With `resume`: under a new id, the resumed session left as it is."""
    clock: Clock = field(default_factory=RealClock)
    """What to sleep on, as before another try: virtual where nothing is live."""
    fork_at: int | None = None
    """With `fork`: keep only this many turns."""
    continue_: bool = False
    """Go on with the session used last, if there is one."""
    leftovers: list[str] = field(default_factory=list)
    """Where a client says what it had to end by force."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """What processes that the client starts are to find in theirs, complete."""
    limits: Limits = DEFAULTS
    """Bytes that a program may say."""


@runtime_checkable
class SessionClient(Protocol):
    """One session with a model, live.

    A client with processes of its own has `kill()`, not async: they end at once, without a goodbye. One that only reads
    what an application answers has `only_reads = True`: the application's connections to its model outlive it.

    Optional methods, each a capability that a step may need: `get_messages() -> list[dict]`,
    `load_history(messages)`, `clear_history()`, `compact_history()`, `delete()`, `set(options)`; all of them async.
    """

    @property
    def session_id(self) -> str | None:
        """The session's own id, as soon as it is known."""
        ...

    async def connect(self) -> None:
        """Open the session. Raises SessionError (`session_not_found`, `session_in_use` …)."""
        ...

    async def disconnect(self) -> None:
        """Close the session; does nothing the second time."""
        ...

    async def query(self, text: str) -> None:
        """Take one user message. Raises SessionError(`not_connected`)."""
        ...

    def receive_response(self) -> AsyncIterator[Event]:
        """The events of the turn that `query` began, up to and including its one TurnEnd."""
        ...

    async def interrupt(self) -> None:
        """End the turn in progress. May be called between two events by the task that reads them, and must not wait
        for it; does nothing while no turn is in progress."""
        ...


CAPABILITIES = ("get_messages", "load_history", "clear_history", "compact_history", "delete", "set")

Message = Mapping[str, Any]
Factory = Callable[[Opening], SessionClient | AbstractAsyncContextManager[SessionClient]]
"""Called once per opening, inside the item's event loop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of session client. `options` are the keys it takes, None for any."""

    name: str
    factory_of: Callable[[Profile, Path], Factory]
    """What opens sessions for a profile of this kind, in the project's folder. Raises ConfigError or ClientError."""
    options: frozenset[str] | None
    wanted: Mapping[str, Wanted] = field(default_factory=dict)
    """What those of its options must be whose values are its own business and not its API's."""
    required: tuple[str, ...] = ()
    """Options without which no session can be opened."""
    wire: str = "history"
    base_url: str = ""
    base_path: str = ""
    """What base URLs of its API end in by convention."""
    either: bool = False
    """Its clients speak Anthropic's API or OpenAI's: the variable that holds the key tells which."""
    path: str = PATH
    """Where its API takes conversations."""
    gateway: bool = False
    """It asks the model from another process: its requests go to the gateway."""
    works_on_disk: bool = True
    """Its clients may find the folder in which a session works."""
    api_key_env: str = "ANTHROPIC_API_KEY"
    needs: str = ""
    """A package that it imports when it is used."""
    extra: str = ""
    """The extra of convtest that brings it."""
    policy: Callable[[Mapping[str, Any]], Policy] = lambda options: Policy()
    """What clients of this kind do where honest ones differ, with these options."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A kind with its profile: what the runner opens sessions with."""

    profile: str
    factory: Factory
    options: Mapping[str, Any]
    wire: str
    base_url: str
    upstream: str
    api_key_env: str = ""
    prices: Mapping[str, Any] = field(default_factory=dict)
    gateway: bool = False
    works_on_disk: bool = True
    base_path: str = ""
    public: bool = False
    """The upstream is the public API of its kind, which asks for a key."""
    environment: Mapping[str, str] = field(default_factory=dict)
    policy: Callable[[Mapping[str, Any]], Policy] = lambda options: Policy()
    sends: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda options: {}
    """What every request carries with these options, as far as that is declared."""
    missing: str = ""
    """What to install before it can be used; empty if all is there."""


def lacks(client: object) -> Sequence[str]:
    """The capabilities that a client does not have."""
    return [name for name in CAPABILITIES if not callable(getattr(client, name, None))]
