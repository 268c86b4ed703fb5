"""What a run of retention and its verdict look like in a terminal, in a pull request and to other programs."""

import json
from xml.etree import ElementTree

from convtest.retention.baseline import run_of
from convtest.retention.comparing import compare
from convtest.retention.probes import Probe
from convtest.retention.telling import as_junit, as_markdown, counts, json_text, strips, verdict_lines
from tests.retention_records import ORIGIN, probe, run


def lost_by_kill(one: Probe) -> str:
    return (
        "M" if one.disturb == "kill" and one.after > 1 else "S" if (one.disturb, one.repeat) == ("compact", 2) else "H"
    )


def test_a_fact_is_one_line() -> None:
    lines = strips(run(lost_by_kill, repeats=2))

    assert len(lines) == 4 * 6
    assert lines[0] == "none        order.code-1 told@1      HH|HH|HH  after 1|5|20"
    assert "kill        recall.code-3 told@3     HH|MM|MM  after 1|5|20" in lines
    assert "compact     recall.code-3 told@3     HS|HS|HS  after 1|5|20" in lines


def test_a_broken_wire_and_a_seed_are_told_in_the_line() -> None:
    made = run_of(ORIGIN, [probe(intact=False, seed=7)], [])

    assert strips(made) == ["none  recall.code seed 7 told@1  H  after 5, wire broken"]


def test_the_counts_name_the_disturbance_under_which_most_is_lost() -> None:
    assert counts(run(lost_by_kill)) == [
        "undisturbed: 90 of 90 held (96% to 100%)",
        "compact: 72 of 90 held (71% to 87%)",
        "fork-child: 90 of 90 held (96% to 100%)",
        "kill: 30 of 90 held (24% to 44%)",
        "most is lost under kill: 33% held, 100% undisturbed",
    ]
    assert not any("most is lost" in line for line in counts(run()))
    assert counts(run({"kill": "L", "compact": "N"}))[1:4:2] == [
        "compact: 0 of 0 held (0% to 100%), 90 without a reply",
        "kill: 0 of 90 held (0% to 4%), 90 leaked",
    ]


def test_a_verdict_is_told_with_what_it_rests_on() -> None:
    lines = verdict_lines(compare(run(), run(lost_by_kill)))

    assert lines[0] == "✗ regressed"
    assert lines[1].startswith("    100.0% held in the baseline, 78.3% now: a drop of 0.217")
    assert lines[2].startswith("    all        100.0% then,  78.3% now: +0.217 less (+0.")
    assert lines[-1] == "    20 trunks in the baseline, 20 now; of families p is Holm's"


def test_markdown_junit_and_json_say_the_same() -> None:
    now = run(lost_by_kill)
    found = compare(run(), now)

    assert as_markdown(now, found).startswith("### Retention of assistant: regressed\n")
    assert "| recall | 100.0% | 78.3% | +0.217" in as_markdown(now, found)
    suite = ElementTree.fromstring(as_junit(now, found))
    assert suite.get("failures") == "1"
    assert [one.tag for one in suite[0]] == ["failure", "system-out"]
    data = json.loads(json_text(now, found))
    assert (data["verdict"]["word"], data["exit"], data["held"], data["asked"]) == ("regressed", 1, 282, 360)


def test_a_run_that_is_no_worse_is_no_failure() -> None:
    suite = ElementTree.fromstring(as_junit(run(), compare(run(), run())))

    assert suite.get("failures") == "0"
    assert [one.tag for one in suite[0]] == ["system-out"]


def test_what_was_said_is_text_only() -> None:
    made = run_of(ORIGIN, [probe(disturb="<b>\x1b[31m", slot="````", row="|*", outcome="M")], [])

    text = as_markdown(made, None)
    assert "<b>" not in text.partition("````text")[0]
    assert "\x1b" not in text + "".join(strips(made) + counts(made))
    assert text.count("````") == 2
