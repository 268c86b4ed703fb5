"""From a client profile to what opens sessions."""

from convtest.clients import messages, python
from convtest.clients.port import Kind, Made
from convtest.config import Config, Profile
from convtest.errors import ConfigError, did_you_mean

KINDS: dict[str, Kind] = {kind.name: kind for kind in (messages.KIND, python.KIND)}
SIMULATOR = "simulator"
_LATER = ("chat_completions", "claude_agent_sdk", "command", "sse")


def make(config: Config, name: str) -> Made:
    """What the profile `name` describes. Raises ConfigError or ClientError."""
    profile = config.profile(name)
    kind = _kind(profile)
    _check_options(profile, kind)
    factory = python.factory_of(profile.target, client=name) if kind is python.KIND else kind.factory
    upstream = profile.upstream or kind.base_url
    return Made(
        profile=name,
        factory=factory,
        options={**profile.options, **({"prices": config.prices} if config.prices else {})},
        wire=profile.wire or kind.wire,
        base_url=kind.base_url if upstream == SIMULATOR else upstream,
        upstream=upstream,
        api_key_env=profile.api_key_env,
    )


def _kind(profile: Profile) -> Kind:
    if profile.kind in KINDS:
        return KINDS[profile.kind]
    if profile.kind in _LATER:
        raise ConfigError(f"kind {profile.kind!r} is not supported yet", where=profile.where, help=_known())
    raise ConfigError(f"unknown kind {profile.kind!r}", where=profile.where, help=did_you_mean(profile.kind, KINDS))


def _check_options(profile: Profile, kind: Kind) -> None:
    for option in profile.options:
        if kind.options is not None and option not in kind.options:
            raise ConfigError(
                f"unknown option {option!r} for a {kind.name} client",
                where=profile.where,
                help=did_you_mean(option, kind.options),
            )


def unknown_options(config: Config, name: str, options: object) -> list[str]:
    """Options of a scenario that the client's kind does not take; empty if the profile is unknown."""
    profile = config.clients.get(name)
    kind = KINDS.get(profile.kind) if profile else None
    if kind is None or kind.options is None or not isinstance(options, dict):
        return []
    return [option for option in options if option not in kind.options]


def _known() -> str:
    return f"known: {', '.join(KINDS)}"
