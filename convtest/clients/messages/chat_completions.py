"""`chat_completions`: a session over the OpenAI-compatible Chat Completions API, which many servers speak.

Source: https://platform.openai.com/docs/api-reference/chat.
"""

import msgspec

from convtest.clients.messages.client import OPTIONS as MESSAGES_OPTIONS
from convtest.clients.messages.client import MessagesClient
from convtest.clients.messages.policy import POLICY
from convtest.clients.options import MESSAGES
from convtest.clients.port import Kind
from convtest.wire.chat_stream import ChatStream
from convtest.wire.messages_api import ReplyStream
from convtest.wire.openai_apis import CHAT_PATH, PUBLIC_URL, chat_messages

BODY_OPTIONS = (
    "model", "max_tokens", "max_completion_tokens", "temperature", "top_p", "stop", "seed", "tool_choice", "user",
    "response_format", "frequency_penalty", "presence_penalty", "reasoning_effort", "logit_bias",
)  # fmt: skip
_OURS = frozenset({"system", "max_turns", "max_messages", "python_tools", "read_timeout", "max_retries"})
OPTIONS = frozenset({*BODY_OPTIONS, *_OURS})
assert _OURS <= MESSAGES_OPTIONS


class ChatCompletionsClient(MessagesClient):
    """The same session as MessagesClient, spoken in another API; its history is kept in the shape of the Messages API.

    Options are those of the API's body, `system`, and what MessagesClient takes beside its body's.
    """

    def _new_stream(self) -> ReplyStream:
        return ChatStream()

    @property
    def _url(self) -> str:
        return self._opening.base_url.rstrip("/") + CHAT_PATH

    @property
    def _headers(self) -> dict[str, str]:
        return {
            "authorization": f"Bearer {self._opening.api_key}",
            "content-type": "application/json",
            "accept": "text/event-stream",
            "accept-encoding": "identity",
        }

    def _body(self) -> bytes:
        options = {key: value for key, value in self._options.items() if key in BODY_OPTIONS}
        system = self._options.get("system")
        first = [{"role": "system", "content": system}] if system else []
        body = {**options, "messages": [*first, *chat_messages(self._messages)], "stream": True}
        if self._tools:
            body["tools"] = [
                {
                    "type": "function",
                    "function": {"name": t.name, "description": t.description, "parameters": t.input_schema},
                }
                for t in self._tools.values()
            ]
        return msgspec.json.encode({**body, "stream_options": {"include_usage": True}})


KIND = Kind(
    name="chat_completions",
    factory_of=lambda profile, root: ChatCompletionsClient,
    options=OPTIONS,
    wanted=MESSAGES,
    works_on_disk=False,
    base_url=PUBLIC_URL,
    base_path="/v1",
    path=CHAT_PATH,
    api_key_env="OPENAI_API_KEY",
    policy=lambda options: POLICY,
)
