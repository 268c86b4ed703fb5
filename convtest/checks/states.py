"""What is bound of a session: what its next request must begin with, and how a request and its answer change that."""

from convtest.checks.weights import Mass, mass_of, settings_of
from convtest.structs import Struct, force_setattr, replace
from convtest.wire.blocks import Block, Sealed, blocks_of, collapsed, merged, request_blocks, sealed_of
from convtest.wire.canonical import Canonical
from convtest.wire.interaction import Interaction
from convtest.wire.messages import going_on


class Prompt(Struct, frozen=True):
    """A prompt the history should hold; it may be gone if its turn was cut short or a boundary was declared."""

    text: str
    required: bool
    sent: str = ""
    """The user's text in which it was sent, with what the client put around it."""
    words: str = ""
    """The text with white space collapsed: made of it."""

    def __post_init__(self) -> None:
        force_setattr(self, "words", collapsed(self.text))


class State(Struct, frozen=True, kw_only=True):
    """What a session's next request must begin with; `blocks` is None where nothing is known."""

    blocks: tuple[Block, ...] | None = None
    sealed: tuple[Sealed, ...] = ()
    """What of it can only stand there as it was."""
    prompts: tuple[Prompt, ...] = ()
    system: str = ""
    mass: Mass | None = None
    settings: str = ""
    gone: tuple[str, ...] = ()
    """Prompts and answers that were cleared and must not come back."""
    said: tuple[str, ...] = ()
    """The answers so far, with white space collapsed."""
    sent: Canonical | None = None
    """The session's last main request."""
    failed: bool = False
    """Nobody answered it: what is asked next may be asked in another way."""
    quiet: bool = False
    """The last turn was cut short or used what the prompt's size does not follow: `mass` is silent."""


def after_request(state: State, one: Interaction) -> State:
    """What the request and its answer leave to extend; one that was refused leaves what was there."""
    if one.refused:
        return replace(state, failed=True)
    sent = one.canonical
    # An answer that broke off binds nobody: what is asked again may hold it, or not.
    whole = one.ended == "complete" and one.reply().get("stop_reason") is not None
    answer = {"role": "assistant", "content": (one.reply().get("content") or []) if whole else []}
    reply = blocks_of(answer)
    return replace(
        state,
        blocks=merged(reply, request_blocks(sent)),
        sealed=sealed_of(going_on(sent.messages, answer)),
        system=sent.system,
        mass=mass_of(one),
        settings=settings_of(sent),
        sent=sent,
        failed=not 200 <= one.status < 300,
        quiet=any(block.kind not in {"text", "tool_use"} for block in reply) or _thought(one),
        said=(*state.said, *(block.text for block in reply if block.kind == "text")),
    )


def _thought(one: Interaction) -> bool:
    """Thinking, server tools and compaction change what the next prompt weighs."""
    plain = {"text", "tool_use"}
    return any(block.get("type") not in plain for block in one.reply().get("content") or [])
