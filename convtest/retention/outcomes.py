"""What a reply to a probe is: the current value, an older one, somebody else's, one that nobody said, or none."""

import re

from convtest.retention.probes import Outcome
from convtest.structs import Struct, replace
from convtest.textmatch import contains_value, find_value, folded, sentences, tokens

_DENIAL = re.compile(
    r"\b(?:not|never|no longer|neither|nor|(?:do|does|is|was|did|has|have|ca|wo|are|were)n't|cannot)\b"
    r"|\b(?:nicht|kein\w*|nie|weder)\b|不是|没有|并非|ではな|じゃな|ません|\b(?:ليس|ليست|لم|لا|لن)\b"
)
_DENIED = re.compile(r"\W*(?:(?:では|じゃ)(?:な|あり)|아니|아닙|아닌|아녜)")
"""What denies the value before it, where denials come last."""
_OVER = re.compile(
    r"\b(?:no longer|not any ?more|chang\w+|replac\w+|correct\w+|updat\w+|old|older|former\w*|outdated|used to"
    r"|forget|forgot\w*|instead of|rather than|except)\b"
    r"|\b(?:nicht mehr|geändert|änder\w+|ersetz\w+|alte[nrs]?|ehemal\w+|veraltet|vergiss|vergessen|statt|anstatt)\b"
    r"|不再|改成|改为|换成|更改|忘记|旧的|以前|之前|原来|曾经|変更|変わ|替え|忘れ|古い|以前|もともと|ではなくな"
    r"|더 이상|바꿨|바뀌|변경|예전|이전|옛|잊어|대신"
    r"|\b(?:لم يعد|لم تعد|غيرت\w*|غيّرت\w*|تغير\w*|استبدل\w*|القديم\w*|السابق\w*|نسيان|انس|بدلا|بدلاً|سابقا|سابقًا)\b"
)
"""Words by which the clause around a value says that it no longer holds."""
_PAST = re.compile(
    r"\b(?:was|were|had|before|earlier|previously|originally|initially|at first|first|from)\b"
    r"|\b(?:war|waren|hatte|früher|vorher|zuvor|ursprünglich|zuerst|von)\b"
    r"|最初|起初|一开始|本来|先是|でした|だった|はじめ|\b(?:كان|كانت|كنت|قبل|أولا|من)\b"
)
"""Words of the past: beside the value that holds now they say so too; alone they may be an answer."""
_CLAUSE = re.compile(
    r"[;:!?。！？；，、،؛]|\.(?=\s|$)|,|\b(?:but|however|instead(?! of)|and now|now|and then|to)\b"
    r"|\b(?:aber|sondern|jetzt|jedoch)\b"
    r"|但是|但|现在|而是|しかし|でも|今は|\b(?:لكن|ولكن|بل|الآن|إلى)\b"
)


class Values(Struct, frozen=True, kw_only=True):
    """Every value that counts for one probe."""

    current: str | None
    """None where nothing is to be answered: it was never told, or taken back."""
    older: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    """Values of this session's other slots."""
    foreign: tuple[str, ...] = ()
    """Values told only in sessions that have nothing to do with this one."""
    untold: tuple[str, ...] = ()
    """Values that could have been told and were not."""
    known_words: frozenset[str] = frozenset()
    """Words of the question and the request: they are not inventions."""


def outcome(reply: str, values: Values) -> Outcome:
    """The one word for a reply. An older value beside the current one is no harm where its clause says that it holds no
    more. With nothing to answer, `hit` is a reply that gives no value."""
    if not reply.strip():
        return "no_reply"
    if any(contains_value(reply, value) for value in values.foreign):
        return "leak"
    if values.current is None:
        return _unanswered(reply, values)
    if affirmed(reply, values.current):
        return "hedged" if _alternatives(reply, values) else "hit"
    if contains_value(reply, values.current):
        return "miss"
    return _wrong(reply, values) or ("invented" if _invented(reply, values) else "miss")


def _unanswered(reply: str, values: Values) -> Outcome:
    """ "You told me 4402, but asked me to forget it" gives nothing for an answer."""
    over = [value for value in values.older if not all(_OVER.search(one) for one in _sentences_with(reply, value))]
    return _wrong(reply, replace(values, older=tuple(over))) or "hit"


def _sentences_with(reply: str, value: str) -> list[str]:
    return [one for one in sentences(reply) if contains_value(one, value)]


def _wrong(reply: str, values: Values) -> Outcome | None:
    """Which value stands there for an answer, if one does."""
    if any(not _retired(reply, value, _OVER) for value in values.older):
        return "stale"
    if any(affirmed(reply, value) for value in values.others):
        return "confused"
    return "invented" if any(affirmed(reply, value) for value in values.untold) else None


def affirmed(reply: str, value: str) -> bool:
    """The value stands in at least one clause that does not deny it."""
    text = folded(reply)
    return any(
        not _DENIAL.search(_CLAUSE.split(text[:start])[-1]) and not _DENIED.match(text[end:])
        for start, end in find_value(reply, value)
    )


def _retired(reply: str, value: str, *signs: re.Pattern[str]) -> bool:
    """Wherever the value stands, if it does, its clause says that it holds no more."""
    text = folded(reply)
    for start, end in find_value(reply, value):
        before, after = _CLAUSE.split(text[:start]), _CLAUSE.split(text[end:])
        around = [before[-1], after[0]]
        if not "".join(around).strip():  # it stands between commas
            around += [*before[-2:-1], *after[1:2]]
        if not any(sign.search(" | ".join(around)) for sign in (*signs, _DENIAL)):
            return False
    return True


def _alternatives(reply: str, values: Values) -> bool:
    """Another value of the slot stands there as if it held too; a number of as many digits counts for one."""
    if any(not _retired(reply, value, _OVER, _PAST) for value in values.older):
        return True
    current = values.current or ""
    return _is_number(current) and any(
        token.text != current
        and len(token.text) == len(current)
        and _is_number(token.text)
        and token.text not in values.older
        for token in tokens(reply)
    )


def _invented(reply: str, values: Values) -> bool:
    """Something of the value's shape that nobody said: a number for a number, a name for a name."""
    current = values.current or ""
    if _is_number(current):
        known = values.known_words.union(values.older)
        return any(_is_number(token.text) for token in tokens(reply) if token.text not in known)
    if not current[:1].isupper():
        return False
    names = re.findall(r"(?<![.!?…]\s)(?<!^)\b[A-ZÀ-Þ][\w'-]+", reply.strip())
    return any(folded(name) not in values.known_words and name not in {"I", "I'm", "I'll"} for name in names)


def _is_number(text: str) -> bool:
    return bool(re.fullmatch(r"\d+(?:\.\d+)?", text))
