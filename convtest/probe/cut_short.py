"""What a client keeps of turns that were cut short: by an interrupt, or by a kill that it is resumed after."""

from collections.abc import Iterator, Sequence

from convtest.checks.kept import lost_uses
from convtest.probe.plays import Observation, Plays, how, is_complete, way_of

_SWEEP = "sweep a turn that has it call one of its own tools (at: tool_use)"
_OFFER = f"offer the tools of opening.tools to the model beside its own; where that cannot be, {_SWEEP}"


def prompt_after(play: Plays, *names: str) -> str | None:
    """Whether the prompt of these cut turns stands in the next request; None where no such request came."""
    cut = [kept for name in names if (kept := play.kept(name)) is not None]
    prompts = {kept is not None for _, kept in cut}
    if not cut:
        return None
    return "either" if len(prompts) > 1 else "kept" if True in prompts else "dropped"


def early_interrupt(play: Plays) -> str | None:
    """What an interrupt before the turn's request does."""
    turns = play.turns("interrupted before")
    if turns and turns[0].end is not None and turns[0].end.ended == "complete":
        return "missed"
    prompt = prompt_after(play, "interrupted before")
    return "either" if prompt == "dropped" else prompt


def text_after(play: Plays, *names: str) -> str | None:
    """What of the text of these cut answers does; None where that cannot be told, or is a defect."""
    held = [found[1] for name in names if (found := play.kept(name)) is not None and found[1] is not None]
    if not held or any(one.is_more for one in held):
        return None
    rungs = {"yielded" if one.text == one.yielded else "prefix" if one.text else "dropped" for one in held}
    return rungs.pop() if len(rungs) == 1 else "prefix"


def killed_policy(play: Plays) -> dict[str, str]:
    """The choices about a kill that could be measured."""
    found: dict[str, str] = {}
    if prompt := prompt_after(play, "killed", "killed early", "killed at a tool"):
        found["killed_prompt"] = prompt
    if text := text_after(play, "killed", "killed at a tool"):
        found["killed_text"] = text
    at_tool = play.kept("killed at a tool")
    if at_tool is not None and at_tool[0].calls:
        found["killed_tool_use"] = "dropped" if lost_uses(*at_tool) else "kept"
    return found


def cut_short(play: Plays, *own_tools: str) -> Iterator[Observation]:
    """What becomes of turns that are interrupted, or whose client is killed. `own_tools`: what it offers of its own."""
    held = play.kept("interrupted")
    more = held is not None and held[1] is not None and held[1].is_more
    words, turns = _ending(play, "interrupted") + _text_kept(play, "interrupted"), play.turns("interrupted")
    yield Observation("interrupted in mid-text", words, more, way_of(turns[0]) if turns else "")
    yield Observation("interrupted before the request", _early(play))
    yield Observation("interrupted before the first byte", _prompt_kept(play, "interrupted early"))
    yield _at_a_tool(play, "interrupted", own_tools)
    yield Observation("killed in mid-text, then resumed", _text_kept(play, "killed").removeprefix(", "))
    yield Observation("killed before the first byte", _prompt_kept(play, "killed early"))
    yield _at_a_tool(play, "killed", own_tools)


def _early(play: Plays) -> str:
    if early_interrupt(play) == "missed":
        return "it comes too early: the turn is answered to its end"
    return _prompt_kept(play, "interrupted before")


def _at_a_tool(play: Plays, cut: str, own_tools: Sequence[str]) -> Observation:
    about, kept = f"{cut} at a tool use", play.kept(f"{cut} at a tool")
    if kept is None or not kept[0].calls:
        own = f", only its own ({', '.join(own_tools)})" if own_tools else ""
        return Observation(
            about,
            f"no tool was used: it does not offer the scenario's{own}",
            way=_SWEEP if play.behind_http else _OFFER,
        )
    tool = "is gone" if kept[1] is None or not kept[1].uses else "stays in the history"
    after = play.turns(f"{cut} at a tool")[1]
    taken = "the next turn works" if is_complete(after) else f"the next turn ends {how(after)}"
    return Observation(about, f"the tool use {tool}; {taken}", not is_complete(after))


def _ending(play: Plays, name: str) -> str:
    turns = play.turns(name)
    return f"the turn ends {how(turns[0])}" if turns else "nothing could be seen"


def _text_kept(play: Plays, name: str) -> str:
    found = play.kept(name)
    if found is None:
        return ", no request came after it"
    if found[1] is None:
        return ", the prompt is gone from the history"
    kept = found[1]
    if kept.is_more:
        return ", the prompt stays, and the history holds MORE text than was yielded (kept_text fails)"
    if kept.text == kept.yielded:
        return ", the prompt stays, with just the text that was yielded"
    return f", the prompt stays, {'with a beginning of' if kept.text else 'without'} the text that was yielded"


def _prompt_kept(play: Plays, name: str) -> str:
    found = play.kept(name)
    if found is None:
        return "no request came after it"
    return "the prompt is gone from the history" if found[1] is None else "the prompt stays in the history"
