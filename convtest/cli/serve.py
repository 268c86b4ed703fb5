"""`convtest serve`: the gateway for programs that are started by hand."""

import os
import sys
from pathlib import Path

import click

from convtest.cassettes import store
from convtest.cassettes.scrubbing import Scrubber
from convtest.cassettes.secrets import secret_values
from convtest.cassettes.store import Cassette
from convtest.cli.asking import asks_to_go_on
from convtest.cli.saying import say
from convtest.config import find_root, load_config, upstream_of
from convtest.errors import ConfigError
from convtest.gateway.application import Gateway
from convtest.limits import DEFAULTS, Limits
from convtest.play.standalone import SIMULATOR, Plan, Served, serve


def _not_on_the_command_line(context: click.Context, option: click.Parameter, value: str | None) -> None:
    if value is not None:
        raise ConfigError(
            "a token on the command line stands in the list of processes, for everybody on this machine",
            where="convtest serve, --token",
            help="put it into the variable CONVTEST_TOKEN, or into a file: --token-file FILE",
        )


@click.command(name="serve")
@click.option(
    "--record",
    type=click.Path(path_type=Path),
    metavar="CASSETTE",
    help="Record what is asked and answered, in a file that is not there yet.",
)
@click.option("--resume", is_flag=True, help="Go on with a recording that broke off.")
@click.option(
    "--replay",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="CASSETTE",
    help="Answer from a cassette; what it does not hold is answered 418.",
)
@click.option("--upstream", default=SIMULATOR, show_default=True, help="The base URL of a model, or simulator.")
@click.option("--api-key-env", default="ANTHROPIC_API_KEY", show_default=True, help="Where the real key stands.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="The port on 127.0.0.1; any free one without.")
@click.option(
    "--token-env",
    default="CONVTEST_TOKEN",
    show_default=True,
    help="Where the key stands that clients must send; a random one where nothing does.",
)
@click.option(
    "--token-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A file whose first line is that key.",
)
@click.option("--token", hidden=True, callback=_not_on_the_command_line, expose_value=False)
@click.option("--speed", type=click.FloatRange(0.01), default=1.0, help="Pace of replay; 1 is the recorded one.")
def command(
    record: Path | None,
    resume: bool,
    replay: Path | None,
    upstream: str,
    api_key_env: str,
    port: int,
    token_env: str,
    token_file: Path | None,
    speed: float,
) -> None:
    """Serve a model on loopback: the simulator, a recording, or a real one behind it. Ends with Ctrl-C or SIGTERM.

    Exits 1 if something was asked that the cassette does not hold.
    """
    if record is not None and replay is not None:
        raise ConfigError("--record and --replay exclude each other", where="convtest serve")
    upstream_of(upstream, "--upstream")
    root = find_root(Path.cwd())
    config = load_config(root) if root is not None else None
    scrubber = Scrubber(secret_values([api_key_env])[0], config.scrub if config else ())
    volatile = config.volatile if config else frozenset[str]()
    limits = config.limits if config else DEFAULTS
    cassette = _cassette(record, limits) if record is not None else None
    if cassette is not None and cassette.partial.is_there and not resume:
        resume = asks_to_go_on([cassette.partial.shown], "convtest serve")
    recorded = store.load(replay, shown=str(replay), limits=limits) if replay is not None else []
    for one in recorded:
        one.volatile = volatile
    plan = Plan(
        upstream=upstream, api_key=os.environ.get(api_key_env, ""), record=cassette, resume=resume,
        replay=replay, port=port, token=_token(token_env, token_file), speed=speed,
        volatile=volatile, limits=limits,
    )  # fmt: skip
    try:
        served = serve(plan, scrubber, recorded, _announce)
    except OSError as error:
        raise ConfigError(f"cannot listen: {error.strerror}", where=f"convtest serve, --port {port}") from None
    sys.exit(_finish(served, record))


def _token(variable: str, file: Path | None) -> str:
    """What clients must send; empty for a random one. Raises ConfigError where the file says nothing."""
    if file is None:
        return os.environ.get(variable, "").strip()
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    if not lines or not lines[0].strip():
        raise ConfigError(
            f"{file} has no first line", where="convtest serve, --token-file", help="write the key into it"
        )
    return lines[0].strip()


def _cassette(record: Path, limits: Limits) -> Cassette:
    """Where the recording goes. Raises ConfigError where something stands there."""
    if record.exists() or record.is_symlink():
        raise ConfigError(f"{record} exists", where="convtest serve, --record", help="remove it, or name another file")
    return Cassette(record, str(record), limits=limits)


def _announce(gateway: Gateway) -> None:
    address = gateway.address("main")
    say(f"serving at {gateway.url}; a session's address is {gateway.url}/s/serve/<session>")
    for name, value in {
        "ANTHROPIC_BASE_URL": address,
        "ANTHROPIC_API_KEY": gateway.token,
        "OPENAI_BASE_URL": f"{address}/v1",
        "OPENAI_API_KEY": gateway.token,
    }.items():
        say(f"export {name}={value}")
    sys.stdout.flush()


def _finish(served: Served, record: Path | None) -> int:
    kept = f", recorded in {record}" if served.kept else ", nothing recorded"
    say(f"{served.asked} requests{kept if record else ''}")
    if served.aside:
        say(f"an earlier recording had broken off: it is kept aside as {served.aside}")
    for one in served.missed:
        last = (one.canonical.texts() or [""])[-1]
        say(f"miss: request {one.number} ({one.lane or 'no session'}): {last[:100]!r}", err=True)
        for line in served.explained.get(one.number, ()):
            say(f"    {line}", err=True)
    for left in served.unplayed:
        last = (left.canonical.texts() or [""])[-1]
        say(f"not asked for: request {left.number} ({left.lane or 'no session'}): {last[:100]!r}", err=True)
    troubles = dict.fromkeys(f"request {one.number}: {one.trouble}" for one in served.interactions if one.trouble)
    for trouble in troubles:
        say(f"not kept: {trouble}", err=True)
    return 1 if served.missed or troubles else 0
