"""A whole run: scenarios chosen, mutators shared out to processes, and all trials brought together."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from convtest.config import Config, load_config
from convtest.errors import ConfigError
from convtest.mutate.account import Account, joined
from convtest.mutate.catalogue import ALL
from convtest.mutate.playing import SOURCES, Source, Trial, recorded, scenarios, stage, trials
from convtest.structs import Struct, replace
from convtest.temporary import temporary


class Job(Struct, frozen=True, kw_only=True):
    """What to play. Plain, so that another process can be told of it."""

    root: Path
    """The project's folder."""
    files: tuple[Path, ...]
    names: tuple[str, ...] = tuple(one.name for one in ALL)
    sources: tuple[Source, ...] = SOURCES
    every: bool = True
    """Each mutator in all scenarios that it concerns; else in no more than it takes to find it."""
    kind: str = "messages"
    """The kind of client; another one than `messages` is recorded first, from the simulator."""


def run(job: Job, processes: int = 1) -> Account:
    """Play the job. Raises ConvtestError where the scenarios cannot be played."""
    mutators = [one for one in ALL if one.name in job.names]
    if processes == 1:
        return Account(mutators, play(job))
    parts = [replace(job, names=tuple(one.name for one in mutators[start::processes])) for start in range(processes)]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        return Account(mutators, joined(pool.map(play, parts)))


def play(job: Job) -> list[Trial]:
    """All trials of a job, in this process."""
    config = _config(job)
    mutators = [one for one in ALL if one.name in job.names]
    plays = scenarios(config, job.files)
    with temporary("mutate") as folder:
        if job.kind != "messages":
            config, plays = recorded(config, plays, folder)
        found = list[Trial]()
        for source in job.sources:
            with stage(config, plays, source) as made:
                found += trials(made, mutators, every=job.every)
    return found


def _config(job: Job) -> Config:
    config = load_config(job.root)
    if config is None:
        raise ConfigError("there is no [tool.convtest]", where=str(job.root / "pyproject.toml"))
    clients = {
        name: replace(profile, kind=job.kind) if profile.kind == "messages" else profile
        for name, profile in config.clients.items()
    }
    return replace(config, clients=clients)


def files_of(config: Config) -> Sequence[Path]:
    """The scenario files of a project, those in sub-folders left out."""
    return [file for folder in config.scenarios for file in sorted(folder.glob("*.yaml"))]
