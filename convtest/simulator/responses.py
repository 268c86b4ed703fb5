"""The Responses API as the simulator speaks it: what it keeps of answers and conversations, by their ids.

Source: https://platform.openai.com/docs/api-reference/responses and .../conversations.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from convtest.simulator import responses_rendering as rendering
from convtest.simulator.rendering import Reply
from convtest.simulator.responses_validation import Refusal, item_problem, pair_problem, refusal, shape_problem
from convtest.structs import Struct, field
from convtest.wire.interaction import Interaction
from convtest.wire.messages_api import text_of_content
from convtest.wire.responses_api import CONVERSATIONS_PATH, RESPONSES_PATH, responses_request
from convtest.wire.responses_stream import output_items

_MOST = 5_000
"""Answers and conversations that are kept: a gateway that is left running does not grow without end."""
Item = Mapping[str, Any]


class Answered(Struct, frozen=True):
    """What the model has read and said up to an answer, and the answer as it was sent."""

    given: tuple[Item, ...]
    said: tuple[Item, ...]
    before: tuple[Item, ...] = ()
    response: Mapping[str, Any] = field(default_factory=dict)

    @property
    def items(self) -> list[Item]:
        return [*self.before, *self.given, *self.said]


class Responses:
    """One account: whoever knows an id may go on from it."""

    def __init__(self) -> None:
        self._answers: dict[str, Answered] = {}
        self._conversations: dict[str, list[Item]] = {}
        self._seen: set[int] = set()
        self._learned = 0
        """How many of what was asked first need no look any more."""
        self._made = 0

    def problem(self, body: dict[str, Any]) -> str | None:
        """Why the API would refuse this request, or None."""
        if (wrong := shape_problem(body)) is not None:
            return wrong
        if (lost := self._unknown(body)) is not None:
            return lost
        before, given = self._before(body), self._given(body)
        known = {one["id"] for one in before if one.get("id")}
        for one in given:
            if one.get("id") in known:
                what = (
                    f"Duplicate item found with id {one['id']}. Remove duplicate items from your input and try again."
                )
                return Refusal.of(what, "input")
        return pair_problem([*before, *given])

    def _unknown(self, body: Mapping[str, Any]) -> Refusal | None:
        previous, held = body.get("previous_response_id"), _named(body.get("conversation"))
        if previous is not None and previous not in self._answers:
            what = f"Previous response with id '{previous}' not found."
            return Refusal.of(what, "previous_response_id", "previous_response_not_found")
        if held is not None and held not in self._conversations:
            return _no_conversation(held)
        given = body.get("input")
        kept = self._by_id()
        for one in given if isinstance(given, list) else []:
            refers = one.get("type") == "item_reference"
            # Thinking that is not sealed lives on the server alone.
            bare = one.get("type") == "reasoning" and one.get("id") and not one.get("encrypted_content")
            if (refers or bare) and one.get("id") not in kept:
                what = (
                    f"Item with id '{one.get('id')}' not found. Items are not persisted when `store` is set to false. "
                    "Try again with `store` set to true, or remove this item from your input."
                )
                return Refusal.of(what, "input", status=404)
        return None

    def read(self, body: dict[str, Any]) -> dict[str, Any]:
        """A request that was not refused as the Messages API would have it: with all that the server keeps."""
        messages = responses_request({"input": [*self._before(body), *self._given(body)]})["messages"]
        system = [body.get("instructions") or ""]
        system += [text_of_content(m["content"]) for m in messages if m["role"] in {"system", "developer"}]
        said = [
            {**message, "role": "user" if message["role"] == "tool" else message["role"]}
            for message in messages
            if message["role"] not in {"system", "developer"}
        ]
        form = (body.get("text") or {}).get("format")
        return {
            **body,
            "max_tokens": body.get("max_output_tokens") or 4096,
            "system": "\n".join(one for one in system if one),
            "messages": said,
            "tools": [_tool(one) for one in body.get("tools") or []],
            "response_format": form,
        }

    def keep(self, reply: Reply, body: Mapping[str, Any]) -> None:
        """The answer has been sent whole: from now on it can be named."""
        given, before = tuple(self._given(body)), tuple(self._before(body))
        response = rendering.response(reply, body)
        said = tuple(response["output"])
        held = _named(body.get("conversation"))
        if held is not None:
            self._conversations[held] += [*self._numbered(given), *said]
        if body.get("store") is not False:
            self._put(self._answers, rendering.response_id(reply), Answered(given, said, before, response))

    def learn(self, asked: Iterable[Interaction]) -> None:
        """What a recording answered is on the server as well."""
        asked = list(asked)
        for one in asked[self._learned :]:
            if one.origin != "replayed" or one.number in self._seen or one.ended is None or one.status >= 300:
                continue
            self._seen.add(one.number)
            self._learn(one)
        while self._learned < len(asked) and asked[self._learned].ended is not None:
            self._learned += 1

    def _learn(self, one: Interaction) -> None:
        path = urlsplit(one.request.url).path.rstrip("/")
        if not path.endswith((CONVERSATIONS_PATH, "/items", RESPONSES_PATH)):
            return
        sent, answered = _object(one.request.body), _object(one.body)
        if path.endswith(CONVERSATIONS_PATH) and answered.get("id"):
            self._conversations[answered["id"]] = self._numbered(sent.get("items") or [])
        elif path.endswith("/items") and (held := path.split("/")[-2]) in self._conversations:
            self._conversations[held] += self._numbered(sent.get("items") or [])
        elif path.endswith(RESPONSES_PATH) and (said := output_items(one.body, is_stream=one.is_stream)) is not None:
            before, given = self._before(sent), self._given(sent)
            held_by = _named(sent.get("conversation"))
            if held_by in self._conversations:
                self._conversations[held_by] += [*self._numbered(given), *said]
            if sent.get("store") is not False:
                self._answers[str(one.reply().get("id"))] = Answered(tuple(given), tuple(said), tuple(before))

    def _before(self, body: Mapping[str, Any]) -> list[Item]:
        previous, held = body.get("previous_response_id"), _named(body.get("conversation"))
        if previous in self._answers:
            return self._answers[previous].items
        return list(self._conversations.get(held or "", ()))

    def _given(self, body: Mapping[str, Any]) -> list[Item]:
        given = body.get("input")
        if isinstance(given, str):
            return [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": given}]}]
        kept = self._by_id()
        return [kept.get(one.get("id"), one) if one.get("type") == "item_reference" else one for one in given or []]

    def _by_id(self) -> dict[Any, Item]:
        answered = [one for answer in self._answers.values() for one in (*answer.given, *answer.said)]
        held = [one for items in self._conversations.values() for one in items]
        return {one["id"]: one for one in [*answered, *held] if one.get("id")}

    def _numbered(self, items: Sequence[Item]) -> list[Item]:
        """Each with an id of its own."""
        found: list[Item] = []
        for one in items:
            self._made += 1
            found.append(one if one.get("id") else {"type": "message", **one, "id": f"msg_given_{self._made:04}"})
        return found

    @staticmethod
    def _put(where: dict[str, Any], id: str, what: Any) -> None:
        where[id] = what
        while len(where) > _MOST:
            del where[next(iter(where))]

    def ask(self, interaction: Interaction) -> tuple[int, bytes] | None:
        """The answer to a request about what is kept; None for one that asks the model, or is of another API."""
        parts = urlsplit(interaction.request.url)
        _, found, below = parts.path.rstrip("/").rpartition(f"{CONVERSATIONS_PATH}/")
        if not speaks_of(parts.path.rstrip("/")):
            return None
        method, sent = interaction.request.method.upper(), _object(interaction.request.body)
        if found:
            id, *rest = below.split("/")
            answer = self._conversation(method, id, rest, sent, parse_qs(parts.query))
        elif parts.path.rstrip("/").endswith(CONVERSATIONS_PATH):
            self._made += 1
            id = f"conv_simulated_{self._made:04}"
            wrong = item_problem(sent.get("items") or [], "items")
            if wrong is None:
                self._put(self._conversations, id, self._numbered(sent.get("items") or []))
            answer = wrong if wrong is not None else _conversation(id, sent)
        else:
            id, *rest = parts.path.rstrip("/").rpartition(f"{RESPONSES_PATH}/")[2].split("/")
            answer = self._answer(method, id, rest)
        if isinstance(answer, Refusal):
            return answer.status, refusal(answer)
        return 200, msgspec.json.encode(answer)

    def _answer(self, method: str, id: str, rest: Sequence[str]) -> Mapping[str, Any] | Refusal:
        known = self._answers.get(id)
        if known is None:
            return Refusal.of(f"Response with id '{id}' not found.", "id", status=404)
        if method == "DELETE":
            del self._answers[id]
            return {"id": id, "object": "response", "deleted": True}
        if rest == ["input_items"]:
            return _listed(list(reversed(self._numbered([*known.before, *known.given]))))
        return known.response

    def _conversation(
        self, method: str, id: str, rest: Sequence[str], sent: Mapping[str, Any], query: Mapping[str, list[str]]
    ) -> Mapping[str, Any] | Refusal:
        if id not in self._conversations:
            return _no_conversation(id)
        items = self._conversations[id]
        match method, list(rest):
            case "POST", ["items"]:
                if (wrong := item_problem(sent.get("items"), "items")) is not None:
                    return wrong
                added = self._numbered(sent["items"])
                items += added
                return _listed(added)
            case "GET", ["items"]:
                ordered = items if query.get("order") == ["asc"] else items[::-1]
                return _listed(ordered[: int((query.get("limit") or ["20"])[0])])
            case "DELETE", ["items", item]:
                items[:] = [one for one in items if one.get("id") != item]
                return _conversation(id, {})
            case "DELETE", []:
                del self._conversations[id]
                return {"id": id, "object": "conversation.deleted", "deleted": True}
            case _:
                return _conversation(id, sent)


def speaks_of(path: str) -> bool:
    """Whether it is an address of what is kept."""
    return path.endswith(CONVERSATIONS_PATH) or f"{CONVERSATIONS_PATH}/" in path or f"{RESPONSES_PATH}/" in path


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    return {**tool, "input_schema": tool.get("parameters") or {}} if tool.get("type") == "function" else dict(tool)


def _named(conversation: Any) -> str | None:
    found = conversation.get("id") if isinstance(conversation, Mapping) else conversation
    return found if isinstance(found, str) else None


def _no_conversation(id: str) -> Refusal:
    return Refusal.of(f"Conversation with id '{id}' not found.", status=404)


def _conversation(id: str, sent: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": id, "object": "conversation", "created_at": 1767225600, "metadata": sent.get("metadata") or {}}


def _listed(items: Sequence[Item]) -> dict[str, Any]:
    ids = [one.get("id") for one in items]
    first, last = (ids[0], ids[-1]) if ids else (None, None)
    return {"object": "list", "data": list(items), "first_id": first, "last_id": last, "has_more": False}


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
