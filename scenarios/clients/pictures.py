"""A client that shows the model the pictures that a prompt names; and one that soon takes them out again."""

from typing import Any

from convtest import MessagesClient, Opening


class Pictures(MessagesClient):
    """Puts each picture of the workspace before the prompt that names it.

    A scenario's files are texts: the picture stands in its file as base64, which is what the API takes.
    """

    async def query(self, text: str) -> None:
        await super().query(text)
        named = [path for path in sorted(self._opening.workspace.glob("*.png")) if path.name in text]
        self._messages[-1]["content"][:0] = [_picture(path.read_text().strip()) for path in named]


class FewPictures(Pictures):
    """Saves tokens: a picture is gone with the next prompt, and nobody is told."""

    async def query(self, text: str) -> None:
        for message in self._messages:
            message["content"] = [block for block in message["content"] if block["type"] != "image"]
        await super().query(text)


def _picture(data: str) -> dict[str, Any]:
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}


def client(opening: Opening) -> Pictures:
    """The factory that `[tool.convtest.clients.pictures]` names."""
    return Pictures(opening)


def few(opening: Opening) -> FewPictures:
    """The factory that `[tool.convtest.clients.few-pictures]` names."""
    return FewPictures(opening)
