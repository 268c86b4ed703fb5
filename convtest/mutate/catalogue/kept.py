"""What a client does to what it sends back unread: thinking, images, and the names of what the server keeps."""

from typing import Any

from convtest.mutate import moments
from convtest.mutate.moments import later
from convtest.mutate.mutator import Body, Known, Sends, always, sending
from convtest.mutate.requests import blocks, halved

Block = dict[str, Any]


def _without(key: str) -> Sends:
    return blocks("thinking", lambda block: [{name: one for name, one in block.items() if name != key}])


def _changed(key: str, to: Any) -> Sends:
    return blocks("thinking", lambda block: [{**block, key: to(str(block.get(key, "")))}])


THINKING = sending(
    "history",
    ("loses thinking", "only words and tools are stored", always, blocks("thinking", lambda block: [])),
    ("loses thinking in later turns", "thinking is dropped with its turn", later, blocks("thinking", lambda block: [])),
    ("halves thinking", "a column of the database is too short", always, _changed("thinking", halved)),
    ("changes signatures", "signatures are laid out anew", always, _changed("signature", str.lower)),
    ("loses signatures", "a key that nobody knows is not stored", always, _without("signature")),
)

IMAGES = sending(
    "history",
    ("loses images", "only words are stored", later, blocks("image", lambda block: [])),
    (
        "tells of images in words",
        "an image's name is stored for it",
        later,
        blocks("image", lambda block: [{"type": "text", "text": "[image]"}]),
    ),
    (
        "sends another image",
        "uploads are named by the second",
        later,
        blocks("image", lambda block: [{**block, "source": {**block["source"], "data": "b3RoZXI="}}]),
    ),
)
ID = "previous_response_id"


def _named(id: Any, body: Body) -> Body:
    return {**body, ID: id} if id and body.get(ID) else body


def _stale(body: Body, known: Known) -> Body:
    """What the request before went on from."""
    return _named(known.body().get(ID), body)


def _first(body: Body, known: Known) -> Body:
    return _named(next((one[ID] for one in known.sent if one.get(ID)), None), body)


def _strangers(body: Body, known: Known) -> Body:
    other = known.stranger()
    return _named(other.body().get(ID), body) if other is not None else body


REFERENCES = sending(
    "sessions",
    ("goes on from a response too early", "the id is stored before the answer has come", later, _stale),
    ("goes on from its first response", "the id is stored once", later, _first),
    ("goes on from a stranger's response", "the id is a global", moments.beside_others, _strangers),
    (
        "goes on from nothing",
        "the id is not stored",
        later,
        lambda body, known: {key: value for key, value in body.items() if key != ID},
    ),
)

KEPT = (*THINKING, *IMAGES, *REFERENCES)
