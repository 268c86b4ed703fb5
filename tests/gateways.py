"""A gateway served by the real command, and raw connections to it."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TOKEN = "the-token-of-the-tests"


@dataclass
class Serving:
    """A running `convtest serve`."""

    process: "subprocess.Popen[str]"
    url: str

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def stop(self, how: signal.Signals = signal.SIGTERM) -> tuple[int, str, str]:
        """(exit code, stdout, stderr)."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err

    def memory(self) -> float:
        """Resident megabytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+)", status)
        assert found is not None
        return int(found[1]) / 1024

    def connect(self) -> socket.socket:
        made = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    def raw(self, data: bytes) -> bytes:
        """Everything that comes back for these bytes, to the end of the connection."""
        with self.connect() as sock:
            with contextlib.suppress(OSError):
                sock.sendall(data)
            return read_all(sock)


def read_all(sock: socket.socket) -> bytes:
    found = b""
    with contextlib.suppress(OSError):
        while data := sock.recv(65536):
            found += data
    return found


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[Serving]:
    command = [sys.executable, "-c", "from convtest.cli import main; main()", "serve", *options]
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "NO_COLOR": "1", "CONVTEST_TOKEN": TOKEN},
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    found = re.match(r"serving at (\S+);", first)
    try:
        assert found, first + (process.communicate(timeout=5)[1] if process.poll() is not None else "")
        yield Serving(process, found[1])
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def request(
    body: bytes, *, path: str = "/s/serve/main/v1/messages", host: str = "", x_api_key: str = TOKEN, **more: str
) -> bytes:
    """A request that asks for its connection to be closed after the answer; a header that is empty is not sent."""
    headers = {"host": host, "x-api-key": x_api_key, "content-length": str(len(body)), "connection": "close"}
    headers |= {name.replace("_", "-"): value for name, value in more.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if value)
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + body
