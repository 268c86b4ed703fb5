"""`[tool.convtest]` of pyproject.toml."""

import shlex
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from convtest.errors import ConfigError, did_you_mean, nearest
from convtest.limits import DEFAULTS, Limits, limits_of
from convtest.patterns import PatternError, compiled
from convtest.policy import Signature, policy_of, signature_of, signatures_of
from convtest.prices import prices_of
from convtest.structs import Struct, field

SIMULATOR = "simulator"
Requests = Literal["whole", "added"]
_SECTION = "[tool.convtest]"
_PRICES = "[tool.convtest.prices]"
_KEYS = (
    "scenarios", "cassettes", "client", "clients", "prices", "allow_hosts", "scrub", "volatile", "limits", "requests",
)  # fmt: skip
PROFILE_KEYS = (
    "kind", "upstream", "wire", "target", "api_key_env", "process", "gateway", "command", "env", "policy",
    "side", "main", "sends", "opening", "shared",
)  # fmt: skip
_WIRES = ("history", "reference", "none")


class Profile(Struct, frozen=True, kw_only=True):
    """One client profile."""

    name: str
    kind: str
    upstream: str = ""
    wire: str = ""
    target: str | None = None
    api_key_env: str = ""
    """The environment variable with the key; empty for the one that the kind's API is known to use."""
    own_process: bool = False
    """A `python` client in a child, over the protocol of `command`."""
    shared: bool = False
    """Its sessions share what outlives them: tasks and connections belong to the process, not to an item."""
    gateway: bool = False
    """Its requests go to the gateway's address instead of through a transport in this process."""
    command: tuple[str, ...] = ()
    """The program of a `command` client, with its arguments."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Environment variables of its processes."""
    options: Mapping[str, Any] = field(default_factory=dict)
    policy: Mapping[str, str | list[str]] = field(default_factory=dict)
    """What it declares of the choices in which honest clients differ."""
    side: tuple[Signature, ...] = ()
    """Requests that are none of the conversation."""
    main: Signature | None = None
    """What the requests of the conversation ask with."""
    sends: Mapping[str, Any] = field(default_factory=dict)
    """What every request of it carries."""
    opening: int | tuple[str, ...] | None = None
    """What stands before the first prompt of a fresh session: the texts of these messages, or how many there are; None
    where nothing is declared."""

    @property
    def where(self) -> str:
        return f"[tool.convtest.clients.{self.name}]"


class Config(Struct, frozen=True, kw_only=True):
    """Paths are absolute; `root` is the folder of pyproject.toml."""

    root: Path
    scenarios: tuple[Path, ...]
    cassettes: Path
    client: str
    clients: Mapping[str, Profile]
    prices: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    allow_hosts: tuple[str, ...] = ()
    scrub: tuple[str, ...] = ()
    """Regular expressions for secrets of one's own."""
    volatile: frozenset[str] = frozenset()
    """Keys of request bodies whose values change from run to run."""
    limits: Limits = DEFAULTS
    requests: Requests = "whole"
    """How requests stand in cassettes: each whole, or what it adds to the one before it."""
    scenarios_by_default: bool = False
    """Nobody named the folder of scenarios: it need not be there."""

    def profile(self, name: str) -> Profile:
        """Raises ConfigError for a name that has no profile."""
        if name not in self.clients:
            raise ConfigError(
                f"unknown client {name!r}",
                where="[tool.convtest.clients]",
                help=did_you_mean(name, self.clients) or "add a profile, or run convtest init",
            )
        return self.clients[name]

    def shown(self, path: Path) -> str:
        """The path as messages give it."""
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path)

    def root_of(self, path: Path) -> Path:
        """The scenario root that holds the file, or its folder."""
        return next((root for root in self.scenarios if path.is_relative_to(root)), path.parent)


def find_root(start: Path) -> Path | None:
    """The nearest folder upwards whose pyproject.toml has `[tool.convtest]`."""
    for folder in (start, *start.parents):
        if (folder / "pyproject.toml").is_file() and _section(folder) is not None:
            return folder
    return None


def load_config(root: Path) -> Config | None:
    """The configuration in this folder, or None where there is none. Raises ConfigError."""
    section = _section(root)
    if section is None:
        return None
    _known_keys(section, _KEYS, _SECTION)
    clients = {name: _profile(name, table) for name, table in _clients(section.get("clients", {})).items()}
    scenarios = section.get("scenarios", ["scenarios"])
    return Config(
        root=root,
        scenarios=tuple((root / folder).resolve() for folder in _texts(scenarios, "scenarios")),
        cassettes=(root / _text(section, "cassettes", _SECTION, "cassettes")).resolve(),
        client=_text(section, "client", _SECTION) or next(iter(clients), ""),
        clients=clients,
        prices=prices_of(section.get("prices", {}), _PRICES),
        allow_hosts=tuple(_texts(section.get("allow_hosts", []), "allow_hosts")),
        scenarios_by_default="scenarios" not in section,
        volatile=frozenset(_texts(section.get("volatile", []), "volatile")),
        limits=limits_of(section.get("limits", {})),
        requests=_requests(section.get("requests", "whole")),
        scrub=_patterns(_texts(section.get("scrub", []), "scrub")),
    )


def _requests(value: Any) -> Requests:
    known: dict[str, Requests] = {"whole": "whole", "added": "added"}
    if isinstance(value, str) and value in known:
        return known[value]
    raise ConfigError(f'requests is "whole" or "added", and not {value!r}', where=_SECTION)


def _section(root: Path) -> dict[str, Any] | None:
    path = root / "pyproject.toml"
    if not path.is_file():
        return None
    try:
        tools = tomllib.loads(path.read_text(encoding="utf-8")).get("tool")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"not valid TOML: {error}", where="the file") from None
    section = tools.get("convtest") if isinstance(tools, dict) else None
    if section is None or isinstance(section, dict):
        return section
    raise ConfigError("convtest is a table", where="[tool]", help="write its keys below [tool.convtest]")


def _clients(value: Any) -> dict[str, Any]:
    help = 'such as [tool.convtest.clients.assistant] with kind = "messages"'
    if not isinstance(value, dict):
        raise ConfigError("clients is a table of profiles", where=_SECTION, help=help)
    for name, table in value.items():
        if not isinstance(table, dict):
            raise ConfigError(f"the profile {name!r} is a table", where="[tool.convtest.clients]", help=help)
    return value


def _profile(name: str, table: Mapping[str, Any]) -> Profile:
    where = f"[tool.convtest.clients.{name}]"
    if "kind" not in table:
        raise ConfigError("kind is missing", where=where, help='such as kind = "messages"')
    kind, process = _text(table, "kind", where), _text(table, "process", where, "shared")
    if process not in {"shared", "own"} or (process == "own" and kind != "python"):
        raise ConfigError('process = "own" is for clients of kind python', where=where)
    wire = _text(table, "wire", where)
    if wire and wire not in _WIRES:
        raise ConfigError(f"wire {wire!r} is not known", where=where, help=did_you_mean(wire, _WIRES))
    return Profile(
        name=name,
        kind=kind,
        upstream=upstream_of(_text(table, "upstream", where), where),
        wire=wire,
        target=_text(table, "target", where) or None,
        api_key_env=_text(table, "api_key_env", where),
        own_process=process == "own",
        gateway=_flag(table, "gateway", where),
        shared=_flag(table, "shared", where),
        command=_command(table.get("command"), where),
        env=_variables(table.get("env", {}), where),
        policy=policy_of(table.get("policy", {}), where),
        side=signatures_of(table.get("side", []), "side", where),
        main=signature_of(table["main"], "main", where) if "main" in table else None,
        sends=_sends(table.get("sends", {}), where),
        opening=_opening(table.get("opening"), where),
        options={key: value for key, value in table.items() if key not in PROFILE_KEYS},
    )


def upstream_of(value: str, where: str) -> str:
    """The upstream, empty for that of the kind's API. Raises ConfigError if nothing can be asked there."""
    if value in {"", SIMULATOR} or _is_url(value):
        return value
    meant = nearest(value, [SIMULATOR])
    raise ConfigError(
        f"upstream {value!r} is neither {SIMULATOR} nor an http(s) URL",
        where=where,
        help=f"did you mean {meant!r}?" if meant else 'a base URL is such as "https://api.anthropic.com"',
    )


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and not any(one.isspace() for one in text)


def _flag(table: Mapping[str, Any], key: str, where: str) -> bool:
    value = table.get(key, False)
    if isinstance(value, bool):
        return value
    raise ConfigError(f"{key} is true or false", where=where)


def _command(value: Any, where: str) -> tuple[str, ...]:
    try:
        words = shlex.split(value) if isinstance(value, str) else value or []
    except ValueError as error:
        raise ConfigError(f"command {value!r}: {error}", where=where, help="close it, or write a list") from None
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ConfigError('command is a text, or a list of texts such as ["node", "agent.js"]', where=where)
    return tuple(words)


def _variables(value: Any, where: str) -> dict[str, str]:
    if isinstance(value, dict) and all(isinstance(one, str) for one in value.values()):
        return value
    raise ConfigError("env is a table of texts", where=where)


def _sends(value: Any, where: str) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    raise ConfigError("sends is a table", where=where, help="convtest probe writes it")


def _opening(value: Any, where: str) -> int | tuple[str, ...] | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return value
    if isinstance(value, list) and all(isinstance(text, str) and text.strip() for text in value):
        return tuple(value)
    help = "convtest probe writes it down"
    raise ConfigError("opening is a number of messages, or a list of their texts", where=where, help=help)


def _patterns(texts: list[str]) -> tuple[str, ...]:
    for text in texts:
        try:
            compiled(text)
        except PatternError as error:
            raise ConfigError(f"scrub: {text!r} is no regular expression: {error}", where=_SECTION) from None
    return tuple(texts)


def _text(table: Mapping[str, Any], key: str, where: str, otherwise: str = "") -> str:
    value = table.get(key, otherwise)
    if isinstance(value, str):
        return value
    raise ConfigError(f"{key} is a text, and not {value!r}", where=where)


def _texts(value: Any, key: str) -> list[str]:
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return value
    raise ConfigError(f"{key} is a list of texts", where=_SECTION)


def _known_keys(table: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in known:
            raise ConfigError(f"unknown key {key!r}", where=where, help=did_you_mean(key, known))
