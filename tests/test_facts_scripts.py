"""Values in scripts other than the Latin: found as whole words, or within a run of letters."""

import pytest

from convtest.retention.outcomes import Values, outcome
from convtest.textmatch import contains_value
from tests.playing import Stage, finding_of

CODE = Values(current="8856", older=("4402",), known_words=frozenset({"code"}))


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("我的密码是琥珀猎鹰。", "琥珀猎鹰"),
        ("我叫Ada。", "Ada"),
        ("密码是4402。", "4402"),
        ("私の名前はトムです。", "トム"),
        ("ชื่อของฉันคือสมชายครับ", "สมชาย"),
        ("اسمي خالد.", "خالد"),
        ("मेरा नाम आशा है।", "आशा"),
        ("저는 서울에 살아요.", "서울"),
        ("당신의 도시는 서울입니다.", "서울"),
        ("서울에서는 안 그래요.", "서울"),
        ("제 이름은 Ada예요.", "Ada"),
        ("암호는 붉은 여우라고 하셨어요.", "붉은 여우"),
        ("비밀번호는 4402입니다.", "4402"),
    ],
)
def test_a_value_is_found_in_any_script(words: str, value: str) -> None:
    assert contains_value(words, value)
    assert outcome(words, Values(current=value)) == "hit"


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("我的密码是琥珀海雕。", "琥珀猎鹰"),
        ("कि", "की"),
        ("Adam", "Ada"),
        ("小44021", "4402"),
        ("서울대에 다녀요.", "서울"),
        ("서울숲을 걸었다.", "서울"),
        ("남서울에 살아요.", "서울"),
        ("44021입니다", "4402"),
        ("Ada은행", "Ada"),
    ],
)
def test_what_is_only_like_it_is_not(words: str, value: str) -> None:
    assert not contains_value(words, value)


@pytest.mark.parametrize(
    ("tell", "ask", "answer", "newer"),
    [
        ("我的暗号是琥珀猎鹰。", "我的暗号是什么？", "琥珀猎鹰", "翡翠海雕"),
        ("私の合言葉は琥珀の鷹です。", "私の合言葉は何ですか？", "琥珀の鷹", "翡翠の鯨"),
        ("รหัสของฉันคือเหยี่ยวอำพันครับ", "รหัสของฉันคืออะไร", "เหยี่ยวอำพัน", "วาฬหยก"),
        ("제 암호는 여우입니다.", "제 암호는 무엇입니까?", "여우", "고래"),
    ],
)
def test_an_honest_client_knows_in_scripts_without_word_boundaries(
    stage: Stage, tell: str, ask: str, answer: str, newer: str
) -> None:
    scenario = f"""
        scenario: {answer}
        id: told
        facts:
          word:
            tell: {tell}
            ask: {ask}
            answer: {answer}
            then:
              - tell: {tell.replace(answer, newer)}
                answer: {newer}
        steps:
          - tell: word
          - ask: word
          - tell: word
          - ask: word
            expect: {{contains: {newer}}}
        """

    assert stage.play(scenario).verdict.passed
    cleared = "- clear: main\n          - ask: word\n            expect"
    assert finding_of(stage.play(scenario.replace("- ask: word\n            expect", cleared)), "knows")


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("以前是琥珀猎鹰，现在是翡翠海雕。", "hit"),
        ("是翡翠海雕。", "hit"),
        ("是琥珀猎鹰。", "stale"),
        ("琥珀猎鹰或者翡翠海雕。", "hedged"),
        ("不是翡翠海雕。", "miss"),
        ("我不知道。", "miss"),
    ],
)
def test_outcomes_in_chinese(reply: str, expected: str) -> None:
    assert outcome(reply, Values(current="翡翠海雕", older=("琥珀猎鹰",))) == expected


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("Es war Bernsteinfalke, aber jetzt ist es Jadewal.", "hit"),
        ("Das weiß ich nicht.", "miss"),
        ("Bernsteinfalke.", "stale"),
        ("Es ist nicht Jadewal.", "miss"),
    ],
)
def test_outcomes_in_german(reply: str, expected: str) -> None:
    assert outcome(reply, Values(current="Jadewal", older=("Bernsteinfalke",))) == expected


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("I do not know that.", "hit"),
        ("You told me 4402, but asked me to forget it.", "hit"),
        ("You asked me to forget 4402.", "hit"),
        ("It is 4402.", "stale"),
        ("It is 7319.", "confused"),
        ("It is 9021.", "leak"),
        ("It is 5555.", "invented"),
        ("", "no_reply"),
    ],
)
def test_where_nothing_is_to_be_answered(reply: str, expected: str) -> None:
    values = Values(current=None, older=("4402",), others=("7319",), foreign=("9021",), untold=("5555",))
    assert outcome(reply, values) == expected
