"""The words of a matrix in each language: what is told, asked and said between; the simulator reads the same."""

import re
from functools import cache
from typing import Literal

from convtest.structs import Struct

Language = Literal["en", "de", "zh", "ja", "ar"]


class Wording(Struct, frozen=True, kw_only=True):
    """Phrases with places: `slot` is what a value is called, all others are values."""

    tell: str
    change: str
    forget: str
    ask: str
    ask_old: str
    belongs: str
    lives: str
    hop: str
    holds: str
    total: str
    first: str
    rule: str
    calm: str
    """A question with a known answer, to see whether the rule is obeyed."""
    choose: str
    chosen: str
    picked: str
    """How the simulator picks, and tells of it in a summary."""
    gives: str
    unknown: str
    summary: str
    slots: tuple[str, ...]
    filler: tuple[str, ...]


WORDINGS: dict[str, Wording] = {
    "en": Wording(
        tell="My {slot} is {value}.",
        change="Correction: my {slot} is now {value}.",
        forget="Please forget my {slot}: it no longer holds.",
        ask="What is my {slot}?",
        ask_old="What was my {slot} before I changed it?",
        belongs="The keeper of my {slot} is called {value}.",
        lives="{value} lives in the house {other}.",
        hop="In which house does the keeper of my {slot} live?",
        holds="The box {value} holds {number} marbles.",
        total="How many marbles do the boxes {value} and {other} hold together?",
        first="Which did I tell you first, {value} or {other}?",
        rule="From now on, end every answer with the word {value}.",
        calm="How many days does a week have?",
        choose="Pick one of these for me and name only that one: {value}, {other} or {third}.",
        chosen="Which one did you pick for me?",
        picked="I picked {value}.",
        gives="Your {slot} is {value}.",
        unknown="I do not know that; you have not told me.",
        summary=r"\bsummar(?:y|i[sz]e)\b",
        slots=(
            "passphrase", "callsign", "locker word", "boat name", "project name", "team name", "garden word",
            "key word", "room name", "badge name", "parcel word", "train name", "signal word",
        ),
        filler=(
            "Small talk {n}: the weather stays mild.", "Small talk {n}: the coffee is strong.",
            "Small talk {n}: the trains run late.", "Small talk {n}: the market was full.",
            "Small talk {n}: the lamp flickers.",
        ),
    ),
    "de": Wording(
        tell="Mein Merkwort für {slot} ist {value}.",
        change="Korrektur: Mein Merkwort für {slot} ist jetzt {value}.",
        forget="Bitte vergiss mein Merkwort für {slot}: Es gilt nicht mehr.",
        ask="Was ist mein Merkwort für {slot}?",
        ask_old="Was war mein Merkwort für {slot}, bevor ich es geändert habe?",
        belongs="Den Schlüssel für {slot} hat {value}.",
        lives="{value} wohnt im Haus {other}.",
        hop="In welchem Haus wohnt, wer den Schlüssel für {slot} hat?",
        holds="In der Kiste {value} liegen {number} Murmeln.",
        total="Wie viele Murmeln liegen in den Kisten {value} und {other} zusammen?",
        first="Was habe ich dir zuerst gesagt, {value} oder {other}?",
        rule="Beende ab jetzt jede Antwort mit dem Wort {value}.",
        calm="Wie viele Tage hat eine Woche?",
        choose="Such mir eines davon aus und nenne nur das: {value}, {other} oder {third}.",
        chosen="Welches hast du mir ausgesucht?",
        picked="Ich habe {value} ausgesucht.",
        gives="Dein Merkwort für {slot} ist {value}.",
        unknown="Das weiß ich nicht; du hast es mir nicht gesagt.",
        summary=r"\b(?:Zusammenfassung|fasse? .*zusammen)\b",
        slots=(
            "den Garten", "das Boot", "den Keller", "die Werkstatt", "das Projekt", "die Gruppe", "den Speicher",
            "das Rad", "die Reise", "den Verein", "das Paket", "die Bahn", "das Zeichen",
        ),
        filler=(
            "Geplauder {n}: Das Wetter bleibt mild.", "Geplauder {n}: Der Kaffee ist stark.",
            "Geplauder {n}: Die Züge fahren spät.", "Geplauder {n}: Der Markt war voll.",
        ),
    ),
    "zh": Wording(
        tell="我的{slot}是“{value}”。",
        change="更正：我的{slot}现在是“{value}”。",
        forget="请忘记我的{slot}：它不再有效。",
        ask="我的{slot}是什么？",
        ask_old="在我改变之前，我的{slot}是什么？",
        belongs="保管我{slot}的人叫“{value}”。",
        lives="“{value}”住在“{other}”楼。",
        hop="保管我{slot}的人住在哪栋楼？",
        holds="“{value}”盒子里有{number}颗弹珠。",
        total="“{value}”和“{other}”两个盒子里一共有多少颗弹珠？",
        first="“{value}”和“{other}”，我先告诉你的是哪一个？",
        rule="从现在起，每个回答都以“{value}”这个词结尾。",
        calm="一个星期有几天？",
        choose="请替我选一个，只说出它：“{value}”、“{other}”或“{third}”。",
        chosen="你替我选了哪一个？",
        picked="我选了“{value}”。",
        gives="你的{slot}是“{value}”。",
        unknown="我不知道，你没有告诉过我。",
        summary=r"总结|概括|摘要",
        slots=(
            "暗号", "呼号", "船名", "项目名", "队名", "口令", "房间名", "徽章名", "车名", "花园名", "包裹名",
            "钥匙名", "信号词",
        ),
        filler=(
            "闲聊第{n}句：天气温和。", "闲聊第{n}句：咖啡很浓。", "闲聊第{n}句：火车晚点了。",
            "闲聊第{n}句：集市很热闹。",
        ),
    ),
    "ja": Wording(
        tell="私の{slot}は「{value}」です。",
        change="訂正：私の{slot}は今は「{value}」です。",
        forget="私の{slot}は忘れてください。もう無効です。",
        ask="私の{slot}は何ですか？",
        ask_old="変更する前、私の{slot}は何でしたか？",
        belongs="私の{slot}を預かる人は「{value}」といいます。",
        lives="「{value}」は「{other}」館に住んでいます。",
        hop="私の{slot}を預かる人はどの館に住んでいますか？",
        holds="「{value}」の箱にはビー玉が{number}個あります。",
        total="「{value}」と「{other}」の箱にはビー玉が合わせて何個ありますか？",
        first="「{value}」と「{other}」、先に伝えたのはどちらですか？",
        rule="これからは、どの答えも「{value}」という言葉で終えてください。",
        calm="一週間は何日ありますか？",
        choose="一つ選んで、それだけを言ってください：「{value}」、「{other}」、「{third}」。",
        chosen="どれを選んでくれましたか？",
        picked="「{value}」を選びました。",
        gives="あなたの{slot}は「{value}」です。",
        unknown="わかりません。まだ聞いていません。",
        summary=r"要約|まとめ",
        slots=(
            "合言葉", "呼び名", "船名", "企画名", "組名", "鍵の言葉", "部屋名", "札の名", "列車名", "庭の名", "荷物名",
            "印の言葉", "旗の名",
        ),
        filler=("雑談{n}：天気は穏やかです。", "雑談{n}：コーヒーが濃いです。", "雑談{n}：電車が遅れています。"),
    ),
    "ar": Wording(
        tell="كلمة {slot} عندي هي {value}.",
        change="تصحيح: كلمة {slot} عندي هي الآن {value}.",
        forget="من فضلك انس كلمة {slot}: لم تعد صالحة.",
        ask="ما هي كلمة {slot} عندي؟",
        ask_old="ماذا كانت كلمة {slot} عندي قبل أن أغيرها؟",
        belongs="حارس {slot} اسمه {value}.",
        lives="{value} يسكن في بيت {other}.",
        hop="في أي بيت يسكن حارس {slot}؟",
        holds="في صندوق {value} توجد {number} كرة.",
        total="كم كرة في صندوق {value} وصندوق {other} معا؟",
        first="أيهما أخبرتك به أولا، {value} أم {other}؟",
        rule="من الآن فصاعدا، اختم كل جواب بكلمة {value}.",
        calm="كم يوما في الأسبوع؟",
        choose="اختر لي واحدا من هذه واذكره وحده: {value} أو {other} أو {third}.",
        chosen="أيها اخترت لي؟",
        picked="اخترت {value}.",
        gives="كلمة {slot} عندك هي {value}.",
        unknown="لا أعرف ذلك.",
        summary=r"تلخيص|لخص|ملخص",
        slots=(
            "المرور", "النداء", "القارب", "المشروع", "الفريق", "الحديقة", "المفتاح", "الغرفة", "الشارة", "القطار",
            "الطرد", "الإشارة", "العلم",
        ),
        filler=("حديث {n}: الطقس معتدل.", "حديث {n}: القهوة قوية.", "حديث {n}: القطارات متأخرة."),
    ),
}  # fmt: skip

_SLOT, _NUMBER, _VALUE = "[^.?!。？！؟:：,，\n]+?", r"\d+", "[^.?!。？！؟:：,，、“”「」\n]+?"
_PLACES = {"slot": _SLOT, "number": _NUMBER}


@cache
def pattern_of(phrase: str) -> re.Pattern[str]:
    """What reads a phrase, its places as groups."""
    parts = re.split(r"\{(\w+)\}", phrase)
    made = (
        f"(?P<{part}>{_PLACES.get(part, _VALUE)})" if place % 2 else re.escape(part) for place, part in enumerate(parts)
    )
    return re.compile("".join(made), re.IGNORECASE)
