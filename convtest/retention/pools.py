"""Values to tell: drawn from pools by a seed, one of its own for each session, slot and version."""

import random
from collections.abc import Iterator, Sequence

from convtest.structs import Struct, field
from convtest.textmatch import contains_value, folded

_FIRST: dict[str, str] = {
    "en": "amber cobalt coral crimson golden indigo ivory jade lilac maroon olive pearl quartz ruby saffron scarlet "
    "silver teal umber violet",
    "de": "Bernstein Birken Distel Eisen Erlen Flieder Granit Hasel Holunder Jade Kiefern Kobalt Korallen Kupfer "
    "Linden Mohn Onyx Perlen Rubin Silber",
    "zh": "琥珀 翡翠 珊瑚 玛瑙 水晶 青铜 白银 紫檀 丹桂 碧波 朝霞 晨星 寒露 惊雷 流云 落霞 清泉 秋枫 瑞雪 苍松",
    "ja": "琥珀 翡翠 珊瑚 水晶 青銅 白銀 紫檀 朝霧 夕凪 月光 群青 茜色 若草 桜色 藤色 深緑 瑠璃 真珠 山吹 鉄紺",
    "ar": "العنبر الزمرد المرجان الياقوت البلور النحاس الفضة الصندل اللؤلؤ الفيروز الكهرمان العقيق الرخام الزعفران "
    "الأرز السوسن الريحان القرنفل النرجس الزيتون",
}
_SECOND: dict[str, str] = {
    "en": "badger condor dolphin egret falcon gazelle heron ibis jackal kestrel lynx marten newt osprey panther quail "
    "raven sparrow tapir walrus",
    "de": "adler biber dachs eule falke gans hirsch igel kranich luchs marder natter otter pirol rabe schwan taube uhu "
    "wiesel zander",
    "zh": "猎鹰 海雕 羚羊 白鹭 黑豹 水獭 信鸽 灰狼 孔雀 麋鹿 旗鱼 云雀 雪狐 苍鹭 鲸鲨 画眉 河狸 棕熊 金雕 海豹",
    "ja": "の鷹 の鯨 の鹿 の狐 の鶴 の狼 の梟 の鮫 の虎 の燕 の鯉 の亀 の猫 の蛍 の熊 の雁 の兎 の蝶 の烏 の鮎",
    "ar": "صقر غزال نسر فهد دلفين بجعة ثعلب حوت هدهد نمر سنونو وعل طاووس ذئب حمامة بومة سلحفاة عصفور يمامة فراشة",
}
_JOINS = {"en": "{0} {1}", "de": "{0}{1}", "zh": "{0}{1}", "ja": "{0}{1}", "ar": "{1} {0}"}
LANGUAGES = tuple(_FIRST)


def words_of(language: str) -> list[str]:
    """All values of a language; none stands within another."""
    first, second = _FIRST[language].split(), _SECOND[language].split()
    return [_JOINS[language].format(one, other) for one in first for other in second]


class Pool(Struct):
    """Hands out values, each once; the same seed hands out the same."""

    language: str
    seed: int
    own: Sequence[str] = ()
    """Values to take in place of the shipped ones, as far as they reach."""
    _given: dict[tuple[str, str, int], str] = field(default_factory=dict)
    _words: Iterator[str] | None = None
    _numbers: Iterator[int] | None = None

    def value(self, session: str, slot: str, version: int = 0) -> str:
        """A word. Raises LookupError when the pool has no more."""
        key = (session, slot, version)
        if key not in self._given:
            found = next(self._drawn(), None)
            if found is None:
                raise LookupError(f"the pool has only {len(self._given)} values, and {slot} needs one more")
            self._given[key] = found
        return self._given[key]

    def number(self, session: str, slot: str, version: int = 0) -> int:
        """Three digits; no two are equal, nor is one twice or the sum of two others of this pool."""
        key = (session, f"#{slot}", version)
        if key not in self._given:
            if self._numbers is None:
                self._numbers = iter(random.Random(f"{self.seed}-numbers").sample(_NUMBERS, len(_NUMBERS)))
            self._given[key] = str(next(self._numbers))
        return int(self._given[key])

    def left(self, count: int) -> tuple[str, ...]:
        """Values that were not handed out, and are not handed out any more."""
        return tuple(word for word, _ in zip(self._drawn(), range(count), strict=False))

    def _drawn(self) -> Iterator[str]:
        if self._words is None:
            words = list(self.own) or words_of(self.language)
            random.Random(f"{self.seed}-{self.language}").shuffle(words)
            self._words = iter(words)
        return self._words


_NUMBERS = range(503, 997, 2)
"""Of three digits, their sums of four: no sum is a number of the pool."""


def wrong_values(values: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(a value, what is wrong with it) for a pool that somebody made: twice there, or within another."""
    seen: dict[str, str] = {}
    for value in values:
        if not folded(value):
            yield value, "is empty"
        elif folded(value) in seen:
            yield value, "stands there twice"
        seen.setdefault(folded(value), value)
    for value in seen.values():
        around = next((other for other in seen.values() if other != value and contains_value(other, value)), None)
        if around is not None:
            yield value, f"stands within {around!r}"
