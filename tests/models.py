"""Model servers on loopback for the tests: the three APIs, streamed or not, in any encoding, and every way to fail."""

import gzip
import json
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import brotli
import zstandard

from convtest.simulator.rendering import Reply, body, chunks

WORDS = ["The", " answer", " is", " forty", "-two", " 😀."]
TEXT = "".join(WORDS)


def chat_chunks() -> list[bytes]:
    def event(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        data = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice], **more}
        return f"data: {json.dumps(data)}\n\n".encode()

    usage = {"prompt_tokens": 7, "completion_tokens": 6, "total_tokens": 13}
    start, end = event({"role": "assistant", "content": ""}), event({}, "stop", usage=usage)
    return [start, *(event({"content": word}) for word in WORDS), end + b"data: [DONE]\n\n"]


def chat_body() -> bytes:
    message = {"role": "assistant", "content": TEXT}
    return json.dumps(
        {
            "id": "c1",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 7, "completion_tokens": 6, "total_tokens": 13},
        }
    ).encode()


def response_object() -> dict[str, Any]:
    content = [{"type": "output_text", "text": TEXT, "annotations": []}]
    item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content}
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": "m",
        "status": "completed",
        "output": [item],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": 7,
            "output_tokens": 6,
            "total_tokens": 13,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        },
    }


def response_chunks() -> list[bytes]:
    def event(kind: str, number: int, **more: Any) -> bytes:
        return f"event: {kind}\ndata: {json.dumps({'type': kind, 'sequence_number': number, **more})}\n\n".encode()

    started = {**response_object(), "output": [], "status": "in_progress"}
    at = {"item_id": "msg_1", "output_index": 0, "content_index": 0, "logprobs": []}
    deltas = [event("response.output_text.delta", i + 1, delta=word, **at) for i, word in enumerate(WORDS)]
    return [
        event("response.created", 0, response=started),
        *deltas,
        event("response.completed", 9, response=response_object()),
    ]


REPLY = Reply(id="msg_1", model="m", text=TEXT, usage={"input_tokens": 7, "output_tokens": 6})
STREAMS: dict[str, Callable[[], list[bytes]]] = {
    "/v1/messages": lambda: chunks(REPLY),
    "/v1/chat/completions": chat_chunks,
    "/v1/responses": response_chunks,
    "/model/m/invoke-with-response-stream": lambda: chunks(REPLY),
}
WHOLE: dict[str, Callable[[], bytes]] = {
    "/v1/messages": lambda: body(REPLY),
    "/v1/chat/completions": chat_body,
    "/v1/responses": lambda: json.dumps(response_object()).encode(),
}


def encoder(name: str) -> tuple[Callable[[bytes], bytes], Callable[[], bytes]]:
    """(encode one chunk and flush it, what ends the body)."""
    if name == "gzip":
        packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
        return lambda data: packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH), packer.flush
    if name == "br":
        brotlied = brotli.Compressor()
        return lambda data: brotlied.process(data) + brotlied.flush(), brotlied.finish
    if name == "zstd":
        zstd = zstandard.ZstdCompressor().compressobj()
        block = zstandard.COMPRESSOBJ_FLUSH_BLOCK
        return lambda data: zstd.compress(data) + zstd.flush(block), zstd.flush
    return bytes, lambda: b""


@dataclass
class Behaviour:
    """How the server answers; `statuses` come first, one for each request."""

    encoding: str = ""
    statuses: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    cut_after: int | None = None
    cut: str = "close"
    garbage_after: int | None = None
    pause: float = 0.002
    extra_headers: dict[str, str] = field(default_factory=dict)
    edit: Callable[[bytes], bytes] = bytes
    unpack: Callable[[bytes], bytes] = bytes
    requests: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    """When each request came, by the monotonic clock."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    behaviour: Behaviour

    def do_POST(self) -> None:
        does = self.behaviour
        does.times.append(time.monotonic())
        data = self.rfile.read(int(self.headers["content-length"]))
        does.requests.append(data)
        does.headers.append({name.lower(): value for name, value in self.headers.items()})
        if does.statuses:
            status, headers, content = does.statuses.pop(0)
            self._whole(status, headers, content)
        elif json.loads(does.unpack(data)).get("stream"):
            self._stream(STREAMS[self.path.partition("?")[0]]())
        else:
            self._whole(200, {}, does.edit(WHOLE[self.path.partition("?")[0]]()))

    def do_GET(self) -> None:
        self._whole(200, {}, b'{"application": "under test"}')

    def _whole(self, status: int, headers: dict[str, str], content: bytes) -> None:
        if self.behaviour.encoding == "gzip":
            content, headers = gzip.compress(content), {**headers, "content-encoding": "gzip"}
        self.send_response(status)
        for name, value in {"content-type": "application/json", **self.behaviour.extra_headers, **headers}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _stream(self, parts: list[bytes]) -> None:
        does = self.behaviour
        encoding = "" if self.headers.get("accept-encoding") == "identity" else does.encoding
        encode, finish = encoder(encoding)
        self.send_response(200)
        self.send_header("transfer-encoding", "chunked")
        if encoding:
            self.send_header("content-encoding", encoding)
        for name, value in {"content-type": "text/event-stream", **does.extra_headers}.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            for index, part in enumerate(parts):
                if does.cut_after == index:
                    self._cut()
                    return
                self._chunk(encode(b"event: x\ndata: {broken\n\n" if does.garbage_after == index else does.edit(part)))
                time.sleep(does.pause)
            self._chunk(finish())
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            return

    def _chunk(self, data: bytes) -> None:
        if data:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            self.wfile.flush()

    def _cut(self) -> None:
        import socket
        import struct

        if self.behaviour.cut == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if self.behaviour.cut == "stall":
            time.sleep(1.5)
        self.close_connection = True
        self.connection.close()

    def log_message(self, *_: object) -> None:
        return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Clients that are killed break their connections."""


@contextmanager
def model(behaviour: Behaviour | None = None) -> Iterator[tuple[str, Behaviour]]:
    """A server and its base URL, without the version."""
    does = behaviour or Behaviour()
    handler = type("Handler", (_Handler,), {"behaviour": does})
    server = _Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", does
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
