"""From a client profile to what opens sessions."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from convtest.clients.options import unfit
from convtest.clients.port import Factory, Kind, Made, Opening
from convtest.config import PROFILE_KEYS, Config, Profile, upstream_of
from convtest.config import SIMULATOR as SIMULATOR
from convtest.errors import ConfigError, did_you_mean
from convtest.policy import policy_over
from convtest.structs import replace

_PLACES = {
    "messages": "messages.client",
    "chat_completions": "messages.chat_completions",
    "claude_agent_sdk": "claude.client",
    "python": "python",
    "command": "command.client",
    "sse": "sse",
    "langgraph": "frameworks",
    "openai_agents": "frameworks",
    "pydantic_ai": "frameworks",
}
"""Where each kind stands among the clients: a run imports those that it plays with."""


class _Kinds(Mapping[str, Kind]):
    """By name; each is imported when it is asked for."""

    def __getitem__(self, name: str) -> Kind:
        module = import_module(f"convtest.clients.{_PLACES[name]}")
        kinds: tuple[Kind, ...] = (module.KIND,) if hasattr(module, "KIND") else module.KINDS
        return next(kind for kind in kinds if kind.name == name)

    def __iter__(self) -> Iterator[str]:
        return iter(_PLACES)

    def __len__(self) -> int:
        return len(_PLACES)

    def __contains__(self, name: object) -> bool:
        return name in _PLACES


KINDS = _Kinds()


def make(config: Config, name: str) -> Made:
    """What the profile `name` describes. Raises ConfigError or ClientError."""
    profile = config.profile(name)
    kind = _kind(profile)
    _check_options(profile, kind)
    public, base_path = _api(profile, kind)
    upstream = profile.upstream or public
    return Made(
        profile=name,
        factory=_requiring(profile, kind, kind.factory_of(profile, config.root)),
        options=profile.options,
        wire=profile.wire or kind.wire,
        base_url=public if upstream == SIMULATOR else upstream,
        upstream=upstream,
        public=bool(upstream) and upstream == public,
        api_key_env=profile.api_key_env or kind.api_key_env,
        gateway=is_elsewhere(config, name),
        works_on_disk=kind.works_on_disk,
        base_path=base_path,
        prices=config.prices,
        environment=profile.env,
        missing=_missing(kind),
        policy=lambda options: replace(
            policy_over(kind.policy(options), profile.policy), side=profile.side, main=profile.main
        ),
        # It was measured with the profile's own options: what others do to a request nobody knows.
        sends=lambda options: profile.sends if dict(options) == dict(profile.options) else {},
    )


def is_elsewhere(config: Config, name: str) -> bool:
    """Whether the profile's clients ask the model by way of the gateway."""
    profile = config.profile(name)
    return _kind(profile).gateway or profile.gateway or profile.own_process


def path_of(config: Config, name: str) -> str:
    """Where the API of the profile's kind takes conversations."""
    return _kind(config.profile(name)).path


def key_names(config: Config) -> list[str]:
    """The environment variables that hold keys of the profiles' models."""
    return [
        profile.api_key_env or (KINDS[profile.kind].api_key_env if profile.kind in KINDS else "")
        for profile in config.clients.values()
    ]


def stand_in_key(name: str) -> str:
    """What a client is given for its key where the environment variable of that name is not set."""
    return f"convtest-stand-in-for-{name.lower().replace('_', '-') or 'no-key'}"


def _api(profile: Profile, kind: Kind) -> tuple[str, str]:
    """The base URL of the public API that the profile's client speaks, and what base URLs of that API end in."""
    openai = KINDS["chat_completions"] if kind.either else kind
    spoken = openai if kind.either and profile.api_key_env == openai.api_key_env else kind
    return spoken.base_url, spoken.base_path


def _missing(kind: Kind) -> str:
    absent = kind.needs and find_spec(kind.needs) is None
    return f"pip install 'convtest[{kind.extra}]'" if absent else ""


def _requiring(profile: Profile, kind: Kind, factory: Factory) -> Factory:
    """Looks when a session is opened: fixtures and scenarios give options too."""
    if not kind.required:
        return factory

    def opened(opening: Opening) -> Any:
        for option in kind.required:
            if not opening.options.get(option):
                help = (
                    f"add it there, or give it as an option by the fixture convtest_client_options: {{{option!r}: …}}"
                )
                raise ConfigError(f"{option} is missing", where=profile.where, help=help)
        return factory(opening)

    return opened


def _kind(profile: Profile) -> Kind:
    if profile.kind in KINDS:
        return KINDS[profile.kind]
    raise ConfigError(f"unknown kind {profile.kind!r}", where=profile.where, help=did_you_mean(profile.kind, KINDS))


def _check_options(profile: Profile, kind: Kind) -> None:
    for option in profile.options:
        if option == "prices":
            help = "a model costs every client the same: write them in [tool.convtest.prices]"
            raise ConfigError("prices do not belong to a profile", where=profile.where, help=help)
        if kind.options is not None and option not in kind.options:
            raise ConfigError(
                f"unknown option {option!r} for a client of kind {kind.name}",
                where=profile.where,
                help=did_you_mean(option, {*kind.options, *PROFILE_KEYS}),
            )
    for what in unfit(profile.options, kind.wanted):
        raise ConfigError(what, where=profile.where)


def overridden(config: Config, options: Mapping[str, Any] | None, upstream: str | None) -> Config:
    """The configuration with what fixtures say at run time laid over every profile whose kind takes it."""
    if not options and upstream is None:
        return config
    if upstream is not None:
        upstream = upstream_of(str(upstream), "the fixture convtest_upstream")
    clients = {
        name: replace(
            profile,
            options={**profile.options, **_taken(profile, options or {})},
            upstream=profile.upstream if upstream is None else upstream,
        )
        for name, profile in config.clients.items()
    }
    return replace(config, clients=clients)


def _taken(profile: Profile, options: Mapping[str, Any]) -> dict[str, Any]:
    kind = KINDS.get(profile.kind)
    return {k: v for k, v in options.items() if kind is None or kind.options is None or k in kind.options}


def wrong_options(config: Config, name: str, options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(what is wrong, what to write instead) of options that a scenario gives to a client; none if its profile is
    unknown."""
    profile = config.clients.get(name)
    kind = KINDS.get(profile.kind) if profile else None
    if kind is None:
        return
    for option in options:
        if kind.options is not None and option not in kind.options:
            yield f"a client of kind {kind.name} takes no option {option!r}", did_you_mean(option, kind.options)
    yield from ((what, "") for what in unfit(options, kind.wanted))
