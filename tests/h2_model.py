"""A model server on loopback that speaks HTTP/2 alone, with prior knowledge."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import h2.config
import h2.connection
import h2.events

from tests.models import STREAMS, Behaviour


def _serve(connected: socket.socket, does: Behaviour) -> None:
    speaks = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    speaks.initiate_connection()
    connected.sendall(speaks.data_to_send())
    while data := connected.recv(65_536):
        for event in speaks.receive_data(data):
            if isinstance(event, h2.events.StreamEnded):
                headers = [(":status", "200"), ("content-type", "text/event-stream")]
                speaks.send_headers(event.stream_id, headers)
                for part in STREAMS["/v1/messages"]():
                    speaks.send_data(event.stream_id, does.edit(part))
                    connected.sendall(speaks.data_to_send())
                speaks.end_stream(event.stream_id)
        connected.sendall(speaks.data_to_send())


@contextmanager
def h2_model(does: Behaviour) -> Iterator[tuple[str, Behaviour]]:
    """The server's base URL, without the version."""
    server = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        with suppress(OSError):
            while True:
                connected, _ = server.accept()
                with connected, suppress(OSError):
                    _serve(connected, does)

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}", does
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(3)
