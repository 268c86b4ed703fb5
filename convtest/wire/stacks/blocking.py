"""The stacks on `http.client` (requests, urllib3, botocore, urllib.request) behind vcrpy's connection stubs.

A stub stands for a connection. What a routed request is answered is read by the stack's own code, from a socket that
holds the answer as it comes: so its streaming, its decoding and its errors are its own.
"""

import contextlib
import http.client
import io
import sys
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

from vcr.patch import CassettePatcherBuilder
from vcr.stubs import VCRConnection, VCRHTTPConnection, VCRHTTPSConnection

from convtest.clock import Blocking, run_now
from convtest.wire.headers import to_bytes
from convtest.wire.interaction import Request, StreamEnd
from convtest.wire.stacks.routes import RouteOf
from convtest.wire.tap import Answer, Tap, TappedAnswer, Via, WireFailure

_FRAMING = frozenset({"content-length", "transfer-encoding", "connection"})
"""Headers of the way between two machines: ours is another one."""
_RAISED: dict[StreamEnd, type[OSError]] = {
    "refused": ConnectionRefusedError,
    "timeout": TimeoutError,
    "reset": ConnectionResetError,
    "no_response": http.client.RemoteDisconnected,
}


@contextlib.contextmanager
def patched(route_of: RouteOf) -> Iterator[None]:
    """Within it connections of these stacks, old pools' too, are stubs that ask for the route of each request."""
    builder = _Builder(route_of)
    with contextlib.ExitStack() as stack:
        for patch in builder.patches():
            stack.enter_context(patch)
        yield


class _Builder(CassettePatcherBuilder):  # type: ignore[misc]
    """vcrpy's, with ours in front of its stubs."""

    def __init__(self, route_of: RouteOf) -> None:
        super().__init__(_NoCassette())
        self._route_of = route_of

    def patches(self) -> Iterator[Any]:
        if "urllib3.connectionpool" in sys.modules:
            yield from self._urllib3()
        if "botocore.awsrequest" in sys.modules:
            yield from self._boto3()
        yield self._urllib_request()

    def _build_cassette_subclass(self, base: type) -> type:
        return type(
            base.__name__, (_Stub, base), {"cassette": self._cassette, "route_of": staticmethod(self._route_of)}
        )

    @contextlib.contextmanager
    def _urllib_request(self) -> Iterator[None]:
        """`http.client`'s own classes are left alone: they name each other."""
        owner: Any = urllib.request.AbstractHTTPHandler
        real = owner.do_open
        stubs = {
            http.client.HTTPConnection: self._get_cassette_subclass(VCRHTTPConnection),
            http.client.HTTPSConnection: self._get_cassette_subclass(VCRHTTPSConnection),
        }

        def do_open(handler: Any, http_class: Any, req: Any, **more: Any) -> Any:
            return real(handler, stubs.get(http_class, http_class), req, **more)

        owner.do_open = do_open
        try:
            yield
        finally:
            owner.do_open = real


class _NoCassette:
    """What vcrpy's builder wants to know of a cassette: ours is behind the tap."""

    _path = ""
    custom_patches = ()


class _Stub(VCRConnection):  # type: ignore[misc]
    """Two connections of the stack's own class: one to the outside, and one to the answer of the tap."""

    route_of: RouteOf

    def __init__(self, *args: Any, **more: Any) -> None:
        # Not vcrpy's: that takes all patches away meanwhile, for all threads.
        self.real_connection = self._baseclass(*args, **more)
        self._front = self._baseclass(*args, **more)
        for name, value in (("assert_hostname", False), ("cert_reqs", "CERT_NONE")):
            if self._protocol == "https" and not hasattr(self.real_connection, name):
                setattr(self.real_connection, name, more.get(name, value))
        self._sock = None
        self._more: dict[str, Any] = {}

    def __setattr__(self, name: str, value: Any) -> None:
        if name in {"_front", "_more", "_vcr_request"}:
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    def request(self, method: str, url: str, body: Any = None, headers: Any = None, **more: Any) -> None:
        super().request(method, url, body, headers)
        self._selector, self._more = url, more

    def connect(self, *args: Any, **more: Any) -> None:
        """As late as the request is sent: until then nobody knows whether it will be."""

    def getresponse(self, *args: Any, **more: Any) -> Any:
        asked = self._vcr_request
        route = self.route_of(asked.uri)
        if route is None or route.tap is None:
            self._send(self.real_connection, asked.body_bytes, asked.headers)
            return self.real_connection.getresponse()
        headers = tuple((str(name).lower(), _text(value)) for name, value in asked.headers.items())
        sent = Request(method=asked.method, url=asked.uri, headers=headers, body=asked.body_bytes or b"")
        socket = _Answered(self._ask(route.tap, route.lane, sent), route.tap, route.lane)
        with contextlib.suppress(AttributeError):
            self._front.timeout = None
        self._front.sock = socket
        kept = {name: value for name, value in asked.headers.items() if str(name).lower() != "expect"}
        self._send(self._front, asked.body_bytes, kept)
        return self._front.getresponse()

    def _send(self, connection: Any, body: Any, headers: Any) -> None:
        connection.request(self._vcr_request.method, self._selector, body=body, headers=headers, **self._more)

    def _ask(self, tap: Tap, lane: str | None, sent: Request) -> TappedAnswer:
        if tap.is_dropped(lane):
            raise ConnectionResetError("the transport was dropped")
        timeout = getattr(self.real_connection, "timeout", None)
        via = Via(
            clock=Blocking(tap.clock),
            forward=self._forward,
            read_timeout=float(timeout) if isinstance(timeout, int | float) else 600.0,
        )
        try:
            answer: TappedAnswer = run_now(tap.send(lane, sent, via))
        except WireFailure as failure:
            raise _RAISED.get(failure.ended, http.client.RemoteDisconnected)(str(failure)) from None
        return answer

    async def _forward(self, wanted: Request) -> Answer:
        """Send it for real, and read what comes as bytes: past the stack's own response, which may be read at once."""
        connection = self.real_connection
        try:
            self._send(connection, wanted.on_wire or None, dict(wanted.headers))
            response = http.client.HTTPConnection.getresponse(connection)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise WireFailure(_ended_of(error, before=True), str(error)) from error
        headers = tuple((name.lower(), value) for name, value in response.getheaders())

        async def close() -> None:
            response.close()

        return Answer(
            status=response.status, reason=response.reason, headers=headers, chunks=_Live(response), close=close
        )

    def close(self) -> None:
        super().close()
        self._front.close()


def _text(value: Any) -> str:
    if isinstance(value, tuple | list):
        return ", ".join(_text(one) for one in value)
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _ended_of(error: Exception, *, before: bool = False) -> StreamEnd:
    """The word for how a response ended, or why there was none."""
    causes = [error, *error.args, error.__cause__, error.__context__]
    if any(isinstance(one, TimeoutError) for one in causes):
        return "timeout"
    if before and any(isinstance(one, http.client.HTTPException) for one in causes):
        return "no_response"
    if any(isinstance(one, ConnectionResetError | BrokenPipeError) for one in causes):
        return "reset"
    return "refused" if before else "truncated"


class _Live:
    """The bytes as they come from a real response."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self._response = response

    def __aiter__(self) -> "_Live":
        return self

    async def __anext__(self) -> bytes:
        try:
            data = self._response.read1(65_536)
        except (OSError, http.client.HTTPException) as error:
            raise WireFailure(_ended_of(error), str(error)) from error
        if not data:
            if self._response.length:
                raise WireFailure("truncated", f"{self._response.length} bytes are missing")
            raise StopAsyncIteration
        return data


class _Answered(io.RawIOBase):
    """A socket, and its file, from which an answer of the tap is read as HTTP/1.1, each piece as one chunk."""

    def __init__(self, answer: TappedAnswer, tap: Tap, lane: str | None) -> None:
        self._answer = answer
        self._dropped: Callable[[], bool] = lambda: tap.is_dropped(lane)
        head = answer.answer
        lines = [f"HTTP/1.1 {head.status} {head.reason}".encode("latin-1", "replace")]
        kept = to_bytes((name, value) for name, value in head.headers if name.lower() not in _FRAMING)
        lines += [name + b": " + value for name, value in kept]
        self._rest = b"\r\n".join([*lines, b"transfer-encoding: chunked", b"", b""])
        self._over = False

    def makefile(self, *args: Any, **more: Any) -> io.BufferedReader:
        return io.BufferedReader(self, 65_536)

    def readable(self) -> bool:
        return True

    def readinto(self, room: Any) -> int:
        if not self._rest and not self._over:
            self._rest = self._next()
        size = min(len(room), len(self._rest))
        room[:size], self._rest = self._rest[:size], self._rest[size:]
        return size

    def _next(self) -> bytes:
        try:
            if self._dropped():
                raise WireFailure("reset", "the transport was dropped")
            data: bytes = run_now(self._answer.__anext__())
        except StopAsyncIteration:
            self._over = True
            return b"0\r\n\r\n"
        except WireFailure as failure:
            self._over = True
            self._answer.interaction.ended = failure.ended
            if failure.ended == "truncated":
                return b""  # the connection is closed in the middle of it
            raise _RAISED.get(failure.ended, ConnectionResetError)(str(failure)) from None
        return b"%x\r\n%s\r\n" % (len(data), data) if data else self._next()

    def close(self) -> None:
        if not self.closed:
            run_now(self._answer.aclose())
        super().close()

    def sendall(self, data: Any, *flags: Any) -> None:
        """The request is known already."""

    def settimeout(self, value: Any) -> None:
        """The tap's clock says how long it takes."""

    def gettimeout(self) -> None:
        return None

    def setsockopt(self, *args: Any) -> None: ...
    def shutdown(self, how: int) -> None: ...
