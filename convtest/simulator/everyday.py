"""A small grammar of everyday talk: statements are looked up in what was said before, never kept in memory."""

import re
from collections.abc import Callable

from convtest.simulator.conversation import Conversation

_NUMBER = r"(-?\d+(?:\.\d+)?)"
_STORY = (
    "the wind rose over the water and the keeper wrote the hour in the book while the lamp turned slowly "
    "and far out a ship answered with three short lights before the rain came down again"
).split()


def everyday(conversation: Conversation) -> str | None:
    """An answer by the first rule that knows the prompt; None if none does."""
    for rule in _RULES:
        found = rule(conversation)
        if found is not None:
            return found
    return None


def shown(number: float) -> str:
    """A number as a person writes it: 105, 2.5."""
    return f"{number:g}" if abs(number) < 1e15 else str(number)


def story(topic: str, words: int) -> str:
    """So many words about the topic."""
    start = ["Once", "there", "was", *topic.split(), "where"]
    body = [_STORY[i % len(_STORY)] for i in range(max(0, words - len(start)))]
    return " ".join([*start, *body][:words]) + "."


def _user_texts(conversation: Conversation) -> list[str]:
    return [one.text for one in conversation.before("user")]


def _last(pattern: str, texts: list[str]) -> re.Match[str] | None:
    for text in reversed(texts):
        found = list(re.finditer(pattern, text, re.IGNORECASE))
        if found:
            return found[-1]
    return None


def _name(conversation: Conversation) -> str | None:
    if not re.search(r"what(?: is|'s) my name|who am i\b|what do you call me", conversation.prompt, re.IGNORECASE):
        told = re.search(r"(?:my name is|call me) ([^\W\d_][\w'-]*)", conversation.prompt, re.IGNORECASE)
        return f"Nice to meet you, {told[1]}." if told else None
    told = _last(r"(?:my name is|call me) ([^\W\d_][\w'-]*)", [conversation.system, *_user_texts(conversation)])
    return f"Your name is {told[1]}." if told else None


def _lives(conversation: Conversation) -> str | None:
    if not re.search(r"(where|which city|what city) do i live", conversation.prompt, re.IGNORECASE):
        return None
    told = _last(r"i (?:live in|moved to) ([^\W\d_][\w -]*)", _user_texts(conversation))
    return f"You live in {told[1]}." if told else None


def _likes(conversation: Conversation) -> str | None:
    if not re.search(r"what (?:else )?do i like", conversation.prompt, re.IGNORECASE):
        return None
    liked = [
        found[1].strip()
        for text in _user_texts(conversation)
        for found in re.finditer(r"i (?:also )?like ([^.!?]+)", text, re.IGNORECASE)
    ]
    return f"You like {' and '.join(liked)}." if liked else None


def _attribute(conversation: Conversation) -> str | None:
    """`My favourite colour is teal`, `The code is 4711`, asked for as `what is/was my/the …`."""
    asked = re.search(r"what (?:is|was) (my|the) ([\w ]+?)\?", conversation.prompt, re.IGNORECASE)
    if not asked:
        return None
    told = _last(rf"\b(?:my|the) {re.escape(asked[2])} is ([^.!?\n]+)", _user_texts(conversation))
    whose = "Your" if asked[1].lower() == "my" else "The"
    return f"{whose} {asked[2]} is {told[1].strip()}." if told else None


def _count(conversation: Conversation) -> str | None:
    asked = re.search(r"how many (\w+) do i have", conversation.prompt, re.IGNORECASE)
    if not asked:
        return None
    thing, total = re.escape(asked[1]), None
    for text in [*_user_texts(conversation), conversation.prompt]:
        total = _counted(text, thing, total)
    return f"You have {shown(total)} {asked[1]}." if total is not None else None


def _counted(text: str, thing: str, total: float | None) -> float | None:
    if have := re.search(rf"i have {_NUMBER} {thing}", text, re.IGNORECASE):
        return float(have[1])
    if total is None:
        return None
    if more := re.search(rf"i (?:buy|get|add|find|pick) {_NUMBER}", text, re.IGNORECASE):
        return total + float(more[1])
    if less := re.search(rf"i (?:eat|lose|sell|remove|give away) {_NUMBER}", text, re.IGNORECASE):
        return total - float(less[1])
    return total / 2 if re.search(r"\bhalf\b", text, re.IGNORECASE) else total


_OPERATIONS: dict[str, Callable[[float, float], float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "×": lambda a, b: a * b,
    "/": lambda a, b: a / b if b else float("nan"),
}


def _sum(conversation: Conversation) -> str | None:
    prompt = conversation.prompt
    if gap := re.search(rf"difference between {_NUMBER} and {_NUMBER}", prompt, re.IGNORECASE):
        return f"The difference is {shown(abs(float(gap[1]) - float(gap[2])))}."
    if found := re.search(rf"{_NUMBER} ?([-+*×/]) ?{_NUMBER}", prompt):
        return f"The result is {shown(_OPERATIONS[found[2]](float(found[1]), float(found[3])))}."
    return None


def _reference(conversation: Conversation) -> str | None:
    """`Add 10 to the difference you just found`: the number is looked up in what was answered before."""
    wanted = r"(?:the|that) (?:difference|result|sum|product|number)"
    asked = re.search(rf"(add|subtract|double|halve|multiply|what was)\b.*{wanted}", conversation.prompt, re.IGNORECASE)
    if not asked:
        return None
    found = _last(_NUMBER, [one.text for one in conversation.before("assistant", "tool")])
    if not found:
        return None
    value, verb = float(found[1]), asked[1].lower()
    operand = re.search(rf"(?:add|subtract|by) {_NUMBER}", conversation.prompt, re.IGNORECASE)
    given = float(operand[1]) if operand else 0.0
    done = {
        "add": value + given,
        "subtract": value - given,
        "double": value * 2,
        "halve": value / 2,
        "multiply": value * given,
        "what was": value,
    }[verb]
    return f"That makes {shown(done)}."


def _said(conversation: Conversation) -> str | None:
    if not re.search(r"what did i (?:just )?say", conversation.prompt, re.IGNORECASE):
        return None
    texts = _user_texts(conversation)
    wanted = texts[:1] if "first" in conversation.prompt.lower() else texts[-1:]
    return f"You said: {wanted[0]}" if wanted else None


def _long(conversation: Conversation) -> str | None:
    asked = re.search(r"(long )?story about ([\w ]+)", conversation.prompt, re.IGNORECASE)
    if asked:
        return story(asked[2].strip(), 60 if asked[1] else 20)
    if count := re.search(r"count to (\d+|ten|twenty|one hundred)", conversation.prompt, re.IGNORECASE):
        last = {"ten": 10, "twenty": 20, "one hundred": 100}.get(count[1].lower()) or min(int(count[1][:9]), 1000)
        return " ".join(str(n) for n in range(1, last + 1))
    return None


def _remember(conversation: Conversation) -> str | None:
    told = re.match(r"(?:please )?remember[:,]? (.+)", conversation.prompt, re.IGNORECASE | re.DOTALL)
    return f"I will remember: {told[1].strip()}" if told else None


_RULES = (_name, _lives, _likes, _count, _reference, _sum, _said, _long, _attribute, _remember)
