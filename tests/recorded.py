"""Other people's recordings as conversations: read, taken apart into sessions and turns, and sent again as they were.

The client here is honest by construction: it sends exactly the bodies that were recorded, and yields what was streamed.
Neither its reading of answers nor the cut into turns uses convtest's own.
"""

import gzip
import json
import re
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import yaml

from convtest.clients.port import Opening
from convtest.events import Event, TextDelta, Thinking, ToolResult, ToolUse, TurnEnd

_URLS = {
    "messages": "https://api.anthropic.com/v1/messages",
    "chat": "https://api.openai.com/v1/chat/completions",
    "responses": "https://api.openai.com/v1/responses",
}
_OUTPUTS = ("_call_output", "mcp_approval_response", "tool_search_output")
"""How the items of the Responses API are called that bring what a client did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One recorded request and its answer, bodies decoded."""

    url: str
    sent: dict[str, Any]
    status: int
    body: bytes
    edited: dict[str, Any] | None = None
    """What is sent in place of what was, where a broken client is played."""

    @property
    def wire(self) -> dict[str, Any]:
        """What is sent."""
        return self.sent if self.edited is None else self.edited

    @property
    def api(self) -> str:
        if "input" in self.sent:
            return "responses"
        return "chat" if "/chat/completions" in self.url else "messages"

    @property
    def is_stream(self) -> bool:
        return self.body.lstrip()[:6] in (b"event:", b"data: ", b"data:{")

    def events(self) -> list[dict[str, Any]]:
        if not self.is_stream:
            return []
        lines = [line[5:].strip() for line in self.body.splitlines() if line.startswith(b"data:")]
        return [json.loads(line) for line in lines if line and line != b"[DONE]"]

    @property
    def id(self) -> str:
        """The answer's."""
        return next((str(event["response"]["id"]) for event in self.events() if "response" in event), "") or str(
            self.answer().get("id")
        )

    def answer(self) -> dict[str, Any]:
        return json.loads(self.body) if not self.is_stream else {}


def exchanges(path: Path) -> list[Exchange]:
    """The requests to a model in a recording, in order; embeddings, downloads and the like are left out."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    found = yaml.load(data, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    if "interactions" in found:
        pairs = [(one["request"], one["response"]) for one in found["interactions"]]
    else:
        pairs = list(zip(found["requests"], found["responses"], strict=True))
    read = [_exchange(request, response) for request, response in pairs if request["method"] == "POST"]
    return [one for one in read if one is not None]


def _exchange(request: Mapping[str, Any], response: Mapping[str, Any]) -> Exchange | None:
    sent, body = _body(request), _body({"body": (response.get("body") or {}).get("string"), **response})
    try:
        asked = json.loads(sent)
    except ValueError:
        return None
    if not isinstance(asked, dict) or not (asked.get("messages") or asked.get("input")) or "encoding_format" in asked:
        return None
    url = str(request["uri"])
    if not url.startswith("http"):
        api = "responses" if "input" in asked else "chat" if b'"choices"' in body else "messages"
        url = _URLS[api]
    return Exchange(url=url, sent=asked, status=int(response["status"]["code"]), body=body)


def _body(holder: Mapping[str, Any]) -> bytes:
    """pydantic-ai's serializer keeps JSON under a key of its own."""
    if "parsed_body" in holder:
        return json.dumps(holder["parsed_body"]).encode()
    body = holder.get("body") or b""
    if isinstance(body, dict):
        body = body.get("string") or b""
    data = body if isinstance(body, bytes) else str(body).encode()
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


def write_cassette(path: Path, found: Iterable[Exchange]) -> None:
    """As plain vcrpy would have recorded them."""
    interactions = [
        {
            "request": {"method": "POST", "uri": one.url, "headers": {}, "body": json.dumps(one.wire).encode()},
            "response": {
                "status": {"code": one.status, "message": "OK" if one.status == 200 else "Error"},
                "headers": {"content-type": ["text/event-stream" if one.is_stream else "application/json"]},
                "body": {"string": one.body},
            },
        }
        for one in found
    ]
    path.write_text(
        yaml.dump({"interactions": interactions, "version": 1}, Dumper=yaml.CSafeDumper, allow_unicode=True)
    )


@dataclass(slots=True)
class Turn:
    """One prompt and the requests of its tool loop."""

    prompt: str
    rounds: list[Exchange] = field(default_factory=list)


@dataclass(slots=True)
class Conversation:
    """One session: `before` are the messages that its first request had before its first prompt."""

    name: str
    before: list[dict[str, Any]] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    parent: "Conversation | None" = None
    at: int = 0
    """Of a fork: after how many of the parent's turns."""


def items(sent: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A request's messages, or items."""
    given = sent["messages"] if "messages" in sent else sent["input"]
    listed = [given] if isinstance(given, str) else given
    return [{"role": "user", "content": one} if isinstance(one, str) else one for one in listed]


def texts(item: Mapping[str, Any]) -> list[str]:
    """What the user typed, block by block."""
    content = item.get("content")
    if isinstance(content, str):
        return [content]
    return [one["text"] for one in content or [] if isinstance(one, dict) and isinstance(one.get("text"), str)]


def _is_prompt(item: Mapping[str, Any]) -> bool:
    return item.get("role") == "user" and any(text.strip() for text in texts(item))


def _likeness(item: Any) -> str:
    """Equal for what is the same message to a person: without markers for caches and ids, texts as texts."""
    content = item.get("content")
    plain = isinstance(content, str) or all(isinstance(one, dict) and "text" in one for one in content or [0])
    if plain and item.get("role") in {"user", "system", "developer"}:
        return json.dumps([item["role"], "".join(texts(item)).strip()])
    rest = {key: value for key, value in item.items() if key not in {"id", "status"}}
    return json.dumps(rest, sort_keys=True)


def conversations(found: Sequence[Exchange]) -> list[Conversation]:
    """Who went on with what: a request that begins with all that an earlier one held, or names its answer."""
    made: list[Conversation] = []
    for index, one in enumerate(found):
        earlier = _earlier(one, found[:index])
        owner = next((c for c in made if c.turns and earlier in c.turns[-1].rounds), None) if earlier else None
        if earlier is None:
            made.append(_begun(f"s{len(made)}", one))
        elif owner is not None and owner.turns[-1].rounds[-1] is earlier:
            _gone_on(owner, one, earlier)
        else:
            made.append(_branched(f"s{len(made)}", one, earlier, made))
    return made


def _earlier(one: Exchange, before: Sequence[Exchange]) -> Exchange | None:
    named = one.sent.get("previous_response_id")
    if named:
        return next((other for other in reversed(before) if other.id == named), None)
    mine = [_likeness(item) for item in items(one.sent)]
    candidates: list[tuple[int, bool, int, Exchange]] = []
    for index, other in enumerate(before):
        theirs = [_likeness(item) for item in items(other.sent)]
        longer = len(mine) > len(theirs) and mine[: len(theirs)] == theirs
        again = mine == theirs and other.status >= 400 and other.sent == one.sent
        if longer or again:
            candidates.append((len(theirs), _is_answered(one, other), index, other))
    return max(candidates, key=lambda found: found[:3])[3] if candidates else None


def _is_answered(one: Exchange, other: Exchange) -> bool:
    """Whether just what was answered to the other stands next."""
    ids = [found.decode() for found in re.findall(rb'"((?:call|toolu)_[A-Za-z0-9]+)"', other.body)]
    if any(id in json.dumps(one.sent) for id in ids):
        return True
    said = "".join(event.text for event in yielded(other) if isinstance(event, TextDelta)).strip()
    return bool(said) and said in "".join(text for item in items(one.sent) for text in texts(item))


def _new(one: Exchange, earlier: Exchange) -> list[dict[str, Any]]:
    mine = items(one.sent)
    return mine if one.sent.get("previous_response_id") else mine[len(items(earlier.sent)) :]


def _begun(name: str, one: Exchange) -> Conversation:
    all_items = items(one.sent)
    last = max((i for i, item in enumerate(all_items) if _is_prompt(item)), default=None)
    if last is None:
        return Conversation(name, turns=[Turn("(nothing was typed)", [one])])
    prompt = [text for text in texts(all_items[last]) if text.strip()][-1]
    before = [item for item in all_items[:last] if item.get("role") not in {"system", "developer"}]
    return Conversation(name, before, [Turn(prompt, [one])])


def _gone_on(owner: Conversation, one: Exchange, earlier: Exchange) -> None:
    prompts = [item for item in _new(one, earlier) if _is_prompt(item)]
    if prompts:
        owner.turns.append(Turn([text for text in texts(prompts[-1]) if text.strip()][-1], [one]))
    else:
        owner.turns[-1].rounds.append(one)


def _branched(name: str, one: Exchange, earlier: Exchange, made: Sequence[Conversation]) -> Conversation:
    """A fork where something was typed; else what an earlier request held is only where this one began."""
    prompts = [item for item in _new(one, earlier) if _is_prompt(item)]
    for parent in made:
        for number, turn in enumerate(parent.turns, 1):
            if turn.rounds[-1] is earlier and prompts:
                prompt = [text for text in texts(prompts[-1]) if text.strip()][-1]
                return Conversation(name, turns=[Turn(prompt, [one])], parent=parent, at=number)
    return _begun(name, one)


# --- what was answered, in the words of a session -------------------------------------------------------------------


def yielded(one: Exchange) -> list[Event]:
    """What a client shows of an answer."""
    if one.status >= 400:
        return []
    return list({"messages": _of_messages, "chat": _of_chat, "responses": _of_responses}[one.api](one))


def _of_messages(one: Exchange) -> Iterator[Event]:
    if not one.is_stream:
        for block in one.answer().get("content") or []:
            yield from _block(block, json.dumps(block.get("input") or {}))
        return
    open_blocks: dict[int, dict[str, Any]] = {}
    arguments: dict[int, str] = {}
    for event in one.events():
        if event["type"] == "message_start":
            for block in event["message"].get("content") or []:
                yield from _block(block, json.dumps(block.get("input") or {}))
        elif event["type"] == "content_block_start":
            open_blocks[event["index"]], arguments[event["index"]] = event["content_block"], ""
            if event["content_block"]["type"] in {"text", "thinking"}:
                yield from _block(event["content_block"], "")
        elif event["type"] == "content_block_delta":
            delta = event["delta"]
            if delta["type"] in {"text_delta", "thinking_delta"}:
                yield from _block({**delta, "type": delta["type"].removesuffix("_delta")}, "")
            arguments[event["index"]] += delta.get("partial_json") or ""
        elif event["type"] == "content_block_stop":
            block = open_blocks[event["index"]]
            if block["type"] == "tool_use":
                yield from _block(block, arguments[event["index"]] or json.dumps(block.get("input") or {}))


def _block(block: Mapping[str, Any], arguments: str) -> Iterator[Event]:
    if block["type"] == "text" and block.get("text"):
        yield TextDelta(text=block["text"])
    elif block["type"] == "thinking" and block.get("thinking"):
        yield Thinking(text=block["thinking"])
    elif block["type"] == "tool_use":
        yield ToolUse(id=block["id"], name=block["name"], input=json.loads(arguments))


def _of_chat(one: Exchange) -> Iterator[Event]:
    calls: dict[int, dict[str, str]] = {}
    whole = [] if one.is_stream else [one.answer()]
    for event in whole or one.events():
        for choice in (event.get("choices") or [])[:1]:
            said = choice.get("delta") or choice.get("message") or {}
            if said.get("content"):
                yield TextDelta(text=said["content"])
            for index, call in enumerate(said.get("tool_calls") or []):
                known = calls.setdefault(call.get("index", index), {"id": "", "name": "", "arguments": ""})
                known["id"] = call.get("id") or known["id"]
                known["name"] += (call.get("function") or {}).get("name") or ""
                known["arguments"] += (call.get("function") or {}).get("arguments") or ""
    for call in calls.values():
        yield ToolUse(id=call["id"], name=call["name"], input=json.loads(call["arguments"] or "{}"))


def _of_responses(one: Exchange) -> Iterator[Event]:
    if not one.is_stream:
        for item in one.answer().get("output") or []:
            for part in item.get("content") or [] if item.get("type") == "message" else []:
                if part.get("type") == "output_text":
                    yield TextDelta(text=part["text"])
            yield from _call(item)
        return
    for event in one.events():
        if event["type"] == "response.output_text.delta":
            yield TextDelta(text=event["delta"])
        elif event["type"] == "response.output_item.done":
            yield from _call(event["item"])


def _call(item: Mapping[str, Any]) -> Iterator[Event]:
    if item.get("type") == "function_call":
        yield ToolUse(id=item["call_id"], name=item["name"], input=json.loads(item["arguments"] or "{}"))


def results(sent: Mapping[str, Any]) -> dict[str, tuple[str, bool]]:
    """What a request tells of tools, by the id of the use."""
    told: dict[str, tuple[str, bool]] = {}
    for item in items(sent):
        if item.get("role") == "tool":
            told[item["tool_call_id"]] = "".join(texts(item)), False
        elif item.get("type") == "function_call_output":
            told[item["call_id"]] = "".join(texts({"content": item["output"]})), False
        for block in item.get("content") or [] if isinstance(item.get("content"), list) else []:
            if isinstance(block, dict) and block.get("type") == "tool_result":
                told[block["tool_use_id"]] = "".join(texts(block)), bool(block.get("is_error"))
    return told


def end_of(turn: Turn) -> TurnEnd:
    """How the turn ended, by its last answer."""
    last = turn.rounds[-1]
    if last.status >= 400:
        return TurnEnd(ended="error", message=last.body.decode()[:200])
    data = json.dumps(last.events() if last.is_stream else last.answer())
    if '"stop_reason": "max_tokens"' in data or '"finish_reason": "length"' in data or '"max_output_tokens"}' in data:
        return TurnEnd(ended="max_tokens")
    open_uses = [event for event in yielded(last) if isinstance(event, ToolUse)]
    return TurnEnd(ended="max_turns" if open_uses else "complete")


class Resender:
    """Sends what was recorded for its session, whatever it is asked; `scripts` is set by who plays."""

    scripts: Mapping[str, Sequence[Turn]] = {}

    def __init__(self, opening: Opening) -> None:
        self._opening = opening
        self._turns = iter(self.scripts[opening.session])
        self._now: Turn | None = None
        kept = None if opening.fork else opening.resume
        self.session_id: str | None = kept or f"id-of-{opening.session}"

    async def connect(self) -> None:
        return None

    async def disconnect(self) -> None:
        return None

    async def load_history(self, messages: Sequence[Mapping[str, Any]]) -> None:
        """It stands in what was recorded."""

    async def interrupt(self) -> None:
        return None

    async def query(self, text: str) -> None:
        self._now = next(self._turns)

    async def receive_response(self) -> AsyncGenerator[Event, None]:
        assert self._now is not None
        asked: dict[str, ToolUse] = {}
        tools = {tool.name: tool for tool in self._opening.tools}
        for one in self._now.rounds:
            told = results(one.sent)
            for id in [id for id in asked if id in told]:
                use = asked.pop(id)
                await tools[use.name].call(use.input)
                yield ToolResult(id=id, text=told[id][0], is_error=told[id][1])
            request = httpx.Request("POST", one.url, json=one.wire)
            response = await self._opening.transport.handle_async_request(request)
            data = await response.aread()
            await response.aclose()
            for event in yielded(replace(one, status=response.status_code, body=data)):
                if isinstance(event, ToolUse):
                    asked[event.id] = event
                yield event
        yield end_of(self._now)


# --- as a scenario ---------------------------------------------------------------------------------------------------


def scenario_of(title: str, cassette: Path, made: Sequence[Conversation]) -> dict[str, Any]:
    """What a person would write who records these conversations: what was said before a session is declared, or, where
    it cannot be told in words, the session is one that goes on."""
    sessions: dict[str, Any] = {}
    steps: list[dict[str, Any]] = []
    for one in made:
        declared = _declared(one)
        if one.parent is not None:
            steps.append({"fork": one.parent.name, "as": one.name, "at": f"{one.parent.name}-{one.at}"})
        elif declared is None:
            steps.append({"resume": one.name, "session_id": f"id-of-{one.name}"})
        else:
            sessions[one.name] = {"history": declared} if declared else {}
        for number, turn in enumerate(one.turns, 1):
            step = {"session": one.name, "user": turn.prompt.replace("${", "$${"), "id": f"{one.name}-{number}"}
            steps.append({**step, "expect": {"ended": end_of(turn).ended}})
    tools = {
        name: {"answers": [{"return": "as recorded"}]} for one in made for turn in one.turns for name in _tools(turn)
    }
    return {
        "scenario": title,
        "cassette": str(cassette),
        **({"sessions": sessions} if sessions else {}),
        **({"tools": tools} if tools else {}),
        "steps": steps,
    }


def _declared(one: Conversation) -> list[dict[str, str]] | None:
    """What came before in words; None where it was more than words."""
    told = []
    for item in one.before:
        content = item.get("content")
        plain = isinstance(content, str) or all(set(part) <= {"type", "text"} for part in content or [{"no": "text"}])
        if not plain or item.get("role") not in {"user", "assistant"} or item.get("tool_calls"):
            return None
        told.append({item["role"]: "".join(texts(item)).replace("${", "$${")})
    return told


def _tools(turn: Turn) -> list[str]:
    """Those that were asked for."""
    events = [event for one in turn.rounds for event in yielded(one)]
    return [event.name for event in events if isinstance(event, ToolUse)]
