"""A project in a folder, into which conversations are imported, and whose scenarios are then played by any client."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from convtest.clients.messages.chat_completions import ChatCompletionsClient
from convtest.clients.messages.client import MessagesClient
from convtest.clients.port import Opening
from convtest.config import Config, Profile
from convtest.importing.importer import Import, made_of
from convtest.importing.writing import Written, target_of, written
from convtest.play.mode import Mode
from convtest.play.openings import Openings
from convtest.play.perform import Played, ready
from convtest.scenario.loading import load_file
from convtest.structs import replace
from tests.broken_clients import EditedTransport

FORGETFUL = "tests.importing:forgetful"


def forgetful(opening: Opening) -> MessagesClient:
    """Sends the last message alone, in whichever API it is to speak."""
    last = EditedTransport(opening.transport, lambda body: {**body, "messages": body["messages"][-1:]})
    speaks = ChatCompletionsClient if "gpt" in str(opening.options.get("model")) else MessagesClient
    return speaks(dataclasses.replace(opening, transport=last))


class Bench:
    """A project with a client for each API that ours speak."""

    def __init__(self, root: Path) -> None:
        clients = {
            "assistant": Profile(
                name="assistant", kind="messages", upstream="simulator", options={"model": "claude-haiku-4-5"}
            ),
            "chat": Profile(
                name="chat", kind="chat_completions", upstream="simulator", options={"model": "gpt-4.1-mini"}
            ),
        }
        self.config = Config(
            root=root,
            scenarios=(root / "scenarios",),
            cassettes=root / "cassettes",
            client="assistant",
            clients=clients,
        )
        self.done: list[Written] = []
        self._runs = 0

    def put(self, name: str, text: str | bytes) -> Path:
        path = self.config.root / "from" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def takes(self, path: Path, *, forced: str | None = None, client: str | None = None, force: bool = False) -> Import:
        """The file is imported and written."""
        made = made_of(path, self.config, forced=forced, client=client)
        self.done = written(made, self.config, target_of(self.config, path.name, None), force=force)
        return made

    def imports(self, text: str, name: str = "given.json", **more: Any) -> Import:
        return self.takes(self.put(name, text), **more)

    @property
    def scenario(self) -> str:
        """The text of the scenarios that were written."""
        return "".join(one.path.read_text(encoding="utf-8") for one in self.done if one.outcome is None)

    def plays(self, **profile: str) -> Iterator[Played]:
        """What was written last, as plain pytest plays it; with another client where one is given."""
        config = self._with(profile) if profile else self.config
        for one in self.done:
            for scenario in load_file(one.path, config) if one.outcome is None else ():
                self._runs += 1
                folder = self.config.root / f"run-{self._runs}"
                folder.mkdir()
                yield ready(config, scenario, Mode()).play(folder, openings=Openings())

    def _with(self, given: dict[str, str]) -> Config:
        """In the place of each client another one, which reads the same API."""
        changed = {name: replace(one, **given) for name, one in self.config.clients.items()}
        return replace(self.config, clients=changed)
