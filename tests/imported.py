"""Small files of each format that can be imported: one conversation, as each of them writes it down."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

Json = dict[str, Any]
SAID = (
    ("My name is Ada and I live in Ghent.", "Nice to meet you, Ada."),
    ("What is 15 * 7?", "The result is 105."),
    ("Which city do I live in?", "You live in Ghent."),
)
KEY = "sk-ant-api03-AbCdEfGh1234567890AbCdEf"
MESSAGES_URL = "https://api.anthropic.com/v1/messages"
CHAT_URL = "https://api.openai.com/v1/chat/completions"


@dataclass
class Sent:
    """One request, and its answer."""

    url: str
    body: Json
    answer: bytes
    status: int = 200
    method: str = "POST"
    headers: Json = field(default_factory=dict)

    @property
    def kind(self) -> str:
        return "application/json" if self.answer[:1] == b"{" else "text/event-stream; charset=utf-8"


def said(count: int = len(SAID), pairs: Sequence[tuple[str, str]] = SAID) -> list[Json]:
    """The messages up to the prompt of that turn."""
    found: list[Json] = []
    for prompt, reply in pairs[:count]:
        found += [{"role": "user", "content": prompt}, {"role": "assistant", "content": reply}]
    return found[:-1]


def stream(text: str, *, stop: str = "end_turn", calls: Sequence[tuple[str, str, Json]] = ()) -> bytes:
    """An answer of the Messages API, word by word."""
    head: Json = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-haiku-4-5", "content": [],
            "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 9, "output_tokens": 1}}  # fmt: skip
    events: list[Json] = [{"type": "message_start", "message": head}]
    blocks: list[tuple[Json, list[Json]]] = []
    if text:
        words = [{"type": "text_delta", "text": word} for word in text.replace(" ", " \0").split("\0")]
        blocks.append(({"type": "text", "text": ""}, words))
    for id, name, given in calls:
        deltas = [{"type": "input_json_delta", "partial_json": json.dumps(given)}]
        blocks.append(({"type": "tool_use", "id": id, "name": name, "input": {}}, deltas))
    for index, (block, deltas) in enumerate(blocks):
        events.append({"type": "content_block_start", "index": index, "content_block": block})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    events.append({"type": "message_delta", "delta": {"stop_reason": stop}, "usage": {"output_tokens": 5}})
    events.append({"type": "message_stop"})
    return "".join(f"event: {one['type']}\ndata: {json.dumps(one, ensure_ascii=False)}\n\n" for one in events).encode()


def chat_stream(text: str) -> bytes:
    """An answer of Chat Completions, word by word."""
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4.1-mini"}
    deltas: list[tuple[Json, str | None]] = [({"role": "assistant", "content": ""}, None)]
    deltas += [({"content": word}, None) for word in text.replace(" ", " \0").split("\0")]
    chunks = [{**head, "choices": [{"index": 0, "delta": d, "finish_reason": f}]} for d, f in [*deltas, ({}, "stop")]]
    return "".join(f"data: {json.dumps(one)}\n\n" for one in chunks).encode() + b"data: [DONE]\n\n"


def anthropic(pairs: Sequence[tuple[str, str]] = SAID, **more: Any) -> list[Sent]:
    """The conversation over the Messages API, one request for each turn."""
    body = {"model": "claude-haiku-4-5", "max_tokens": 1024, "stream": True, **more}
    return [
        Sent(MESSAGES_URL, {**body, "messages": said(n, pairs)}, stream(reply)) for n, (_, reply) in enumerate(pairs, 1)
    ]


def openai(pairs: Sequence[tuple[str, str]] = SAID, **more: Any) -> list[Sent]:
    """The conversation over Chat Completions."""
    body = {"model": "gpt-4.1-mini", "stream": True, "stream_options": {"include_usage": True}, **more}
    return [
        Sent(CHAT_URL, {**body, "messages": said(n, pairs)}, chat_stream(reply))
        for n, (_, reply) in enumerate(pairs, 1)
    ]


def vcr(sent: Sequence[Sent]) -> Json:
    """As vcrpy has it."""
    return {
        "interactions": [
            {
                "request": {"method": o.method, "uri": o.url, "body": json.dumps(o.body), "headers": o.headers},
                "response": {
                    "status": {"code": o.status, "message": "OK"},
                    "headers": {"Content-Type": [o.kind]},
                    "body": {"string": o.answer.decode()},
                },
            }
            for o in sent
        ],
        "version": 1,
    }


def ruby(sent: Sequence[Sent]) -> Json:
    """As Ruby's VCR has it."""
    return {
        "http_interactions": [
            {
                "request": {
                    "method": o.method.lower(),
                    "uri": o.url,
                    "body": {"encoding": "UTF-8", "string": json.dumps(o.body)},
                    "headers": {"X-Api-Key": [KEY]},
                },
                "response": {
                    "status": {"code": o.status, "message": "OK"},
                    "headers": {"Content-Type": [o.kind]},
                    "body": {"encoding": "UTF-8", "string": o.answer.decode()},
                },
                "recorded_at": "Tue, 01 Nov 2025 04:58:44 GMT",
            }
            for o in sent
        ],
        "recorded_with": "VCR 6.3.1",
    }


def har(sent: Sequence[Sent], *, encoded: bool = False) -> Json:
    """As a browser or a proxy saves it."""
    entries = []
    for one in sent:
        text = base64.b64encode(one.answer).decode() if encoded else one.answer.decode()
        content: Json = {"size": len(one.answer), "mimeType": one.kind, "text": text}
        if encoded:
            content["encoding"] = "base64"
        entries.append(
            {
                "startedDateTime": "2026-01-01T00:00:00.000Z",
                "time": 12.5,
                "request": {
                    "method": one.method,
                    "url": one.url,
                    "httpVersion": "HTTP/2",
                    "headers": [{"name": ":authority", "value": "api"}, {"name": "x-api-key", "value": KEY}],
                    "postData": {"mimeType": "application/json", "text": json.dumps(one.body)},
                },
                "response": {
                    "status": one.status,
                    "statusText": "OK",
                    "headers": [
                        {"name": "content-type", "value": one.kind},
                        {"name": "content-encoding", "value": "br"},
                    ],
                    "content": content,
                },
            }
        )
    return {"log": {"version": "1.2", "creator": {"name": "a proxy", "version": "1"}, "entries": entries}}


def genai_messages(messages: Sequence[Json]) -> str:
    """As the attribute gen_ai.input.messages holds them."""
    return json.dumps(
        [{"role": one["role"], "parts": [{"type": "text", "content": one["content"]}]} for one in messages]
    )


def flat_span(number: int, pairs: Sequence[tuple[str, str]] = SAID) -> Json:
    """One turn's span as Python's console exporter prints it."""
    return {
        "name": "chat claude-haiku-4-5",
        "context": {"trace_id": "0xa", "span_id": f"0x{number}", "trace_state": "[]"},
        "parent_id": None,
        "start_time": f"2026-01-01T00:00:0{number}.000000Z",
        "attributes": {
            "gen_ai.operation.name": "chat",
            "gen_ai.input.messages": genai_messages(said(number, pairs)),
            "gen_ai.output.messages": genai_messages([{"role": "assistant", "content": pairs[number - 1][1]}]),
        },
        "events": [],
    }


def event_span(number: int) -> Json:
    """The same in the older conventions: an event for each message."""
    events = [
        {"name": f"gen_ai.{one['role']}.message", "attributes": {"content": one["content"]}} for one in said(number)
    ]
    choice = {"index": 0, "finish_reason": "stop", "message": json.dumps({"content": SAID[number - 1][1]})}
    one = flat_span(number)
    return {
        **one,
        "attributes": {"gen_ai.operation.name": "chat", "gen_ai.system": "anthropic"},
        "events": [*events, {"name": "gen_ai.choice", "attributes": choice}],
    }


def numbered_span(number: int) -> Json:
    """The same as OpenLLMetry has it."""
    attributes: Json = {"gen_ai.system": "Anthropic", "llm.request.type": "chat"}
    for at, one in enumerate(said(number)):
        attributes |= {f"gen_ai.prompt.{at}.role": one["role"], f"gen_ai.prompt.{at}.content": one["content"]}
    attributes |= {"gen_ai.completion.0.role": "assistant", "gen_ai.completion.0.content": SAID[number - 1][1]}
    return {**flat_span(number), "attributes": attributes}


def otlp(spans: Sequence[Json]) -> Json:
    """As an OTLP exporter writes JSON."""
    made = [
        {
            "traceId": "a",
            "spanId": span["context"]["span_id"],
            "name": span["name"],
            "startTimeUnixNano": str(1767225600_000000000 + n),
            "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in span["attributes"].items()],
            "events": [
                {
                    "name": event["name"],
                    "attributes": [
                        {"key": key, "value": {"stringValue": str(value)}} for key, value in event["attributes"].items()
                    ],
                }
                for event in span["events"]
            ],
        }
        for n, span in enumerate(spans)
    ]
    return {"resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": {"name": "x"}, "spans": made}]}]}


def lines(rows: Sequence[Any]) -> str:
    return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)


def session(pairs: Sequence[tuple[str, str]] = SAID, **more: Any) -> list[Json]:
    """A session file of Claude Code."""
    found: list[Json] = [{"type": "summary", "summary": "About Ghent", "leafUuid": "x"}]
    for number, (prompt, reply) in enumerate(pairs):
        head = {"sessionId": "s1", "isSidechain": False, "cwd": "/home/ada7/project", "version": "2.1", **more}
        before = f"a{number - 1}" if number else None
        asked = {"role": "user", "content": prompt}
        answer = {"id": f"msg_{number}", "role": "assistant", "model": "claude-haiku-4-5", "stop_reason": "end_turn",
                  "content": [{"type": "text", "text": reply}]}  # fmt: skip
        found.append({**head, "type": "user", "uuid": f"u{number}", "parentUuid": before, "message": asked})
        found.append({**head, "type": "assistant", "uuid": f"a{number}", "parentUuid": f"u{number}", "message": answer})
    return found


def as_yaml(data: Json) -> str:
    return yaml.safe_dump(data, allow_unicode=True, sort_keys=False)


def as_json(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False)


FORMATS: dict[str, tuple[str, str, str]] = {
    "cassette.yaml": ("cassette", as_yaml(vcr(anthropic())), "replays"),
    "cassette.json": ("cassette", as_json(vcr(anthropic())), "replays"),
    "chat.yaml": ("cassette", as_yaml(vcr(openai())), "replays"),
    "ruby.yml": ("cassette", as_yaml(ruby(anthropic())), "replays"),
    "ruby.json": ("cassette", as_json(ruby(openai())), "replays"),
    "browser.har": ("har", as_json(har(anthropic())), "replays"),
    "encoded.har": ("har", as_json(har(openai(), encoded=True)), "replays"),
    "spans.json": ("otel", as_json([flat_span(n) for n in (1, 2, 3)]), "simulates"),
    "spans.jsonl": ("otel", lines([flat_span(n) for n in (3, 1, 2)]), "simulates"),
    "events.jsonl": ("otel", lines([event_span(n) for n in (1, 2, 3)]), "simulates"),
    "numbered.jsonl": ("otel", lines([numbered_span(n) for n in (1, 2, 3)]), "simulates"),
    "otlp.json": ("otel", as_json(otlp([flat_span(n) for n in (1, 2, 3)])), "simulates"),
    "otlp-events.json": ("otel", as_json(otlp([event_span(n) for n in (1, 2, 3)])), "simulates"),
    "session.jsonl": ("claude-code", lines(session()), "simulates"),
    "list.json": ("messages", as_json([*said(), {"role": "assistant", "content": SAID[-1][1]}]), "simulates"),
    "list.jsonl": ("messages", lines([*said(), {"role": "assistant", "content": SAID[-1][1]}]), "simulates"),
    "tuning.jsonl": (
        "messages",
        lines([{"messages": [*said(), {"role": "assistant", "content": SAID[-1][1]}]}]),
        "simulates",
    ),
    "body.json": (
        "messages",
        as_json({"model": "m", "system": "Be brief.", "messages": said(), "response": SAID[-1][1]}),
        "simulates",
    ),
    "items.json": (
        "messages",
        as_json({"model": "m", "instructions": "Be brief.", "input": said(), "output": [
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": SAID[-1][1]}]}]}),
        "simulates",
    ),
}  # fmt: skip
"""By file name: the format, the text, and what becomes of it."""
