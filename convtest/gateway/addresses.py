"""What an address of the gateway says: whose a request is, which API it is for, and where it goes."""

from urllib.parse import unquote, urlsplit

from convtest.structs import Struct
from convtest.wire import messages_api, openai_apis
from convtest.wire.openai_apis import CHAT_PATH
from convtest.wire.responses_api import CONVERSATIONS_PATH, RESPONSES_PATH

_UNVERSIONED = ("/messages", "/messages/count_tokens")
_OPENAI = (f"{RESPONSES_PATH}/", f"{CONVERSATIONS_PATH}/")


class Outlet(Struct, frozen=True, kw_only=True):
    """Where requests of a lane go: the upstream's base URL, and the real key, which no client is told."""

    base_url: str
    api_key: str = ""
    pass_through: bool = False
    """Whether requests that are no model's API are sent on too."""

    def url(self, path: str, query: str) -> str:
        """The upstream's address of what was asked of us; base URLs end in the API's version or do not."""
        base = self.base_url.rstrip("/")
        below = urlsplit(base).path
        if path.startswith("/v1/") and below.endswith("/v1"):
            base = base.removesuffix("/v1")
        elif path.startswith("/v1/") and below and path.endswith((CHAT_PATH, RESPONSES_PATH)):
            path = path.removeprefix("/v1")  # base URLs of this API hold their version, however it is spelled
        return f"{base}{path}{f'?{query}' if query else ''}"


def public_url(path: str) -> str:
    """The public API that a request to this path is one of: what the simulator counts as."""
    openai = path.rstrip("/").endswith(CHAT_PATH) or any(one in f"{path}/" for one in _OPENAI)
    return openai_apis.PUBLIC_URL if openai else messages_api.PUBLIC_URL


def lane_and_path(raw: str) -> tuple[str | None, str | None, str]:
    """`/s/<item>/<session>/rest`: the item as it is spelled, the session, and `/rest`; else only the whole path."""
    parts = raw.split("/", 4)
    if raw.startswith("/s/") and len(parts) == 5:
        return parts[2], unquote(parts[3]), _with_version(f"/{parts[4]}")
    return None, None, _with_version(raw)


def _with_version(path: str) -> str:
    """The AI SDK reads ANTHROPIC_BASE_URL, which has no version, and takes it for one that ends in it."""
    return f"/v1{path}" if path.rstrip("/") in _UNVERSIONED else path


def is_model(path: str) -> bool:
    """One model's description, `/v1/models/<id>`."""
    return path.rsplit("/", 1)[0].endswith("/models")
