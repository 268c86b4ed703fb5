"""Slash commands of the Claude Agent SDK's CLI: those that it carries out by itself, and a project's own."""

from convtest.play.mode import Mode
from tests.playing import Stage
from tests.test_claude import claude, play, report

LOCAL = """
    - user: /status
    - user: /cost
    - user: /help
    - user: /model
    - set: main
      options: {permission_mode: bypassPermissions}
      expect: {error: bad_request}
    - ask: who
      expect: {sent: {messages: 3}}
    - resume: main
    - ask: who
"""
OWN = """
    - user: /greet Ada
      expect: {contains: Say hello to Ada}
    - ask: who
      expect: {sent: {contains: /greet Ada, messages: 5}}
    files:
      .claude/commands/greet.md: Say hello to $ARGUMENTS.
"""


def test_local_commands_are_answered_without_the_model_and_replay(stage: Stage) -> None:
    """What `/cost` says, times and totals, stands in the next request and is other words in each run. What the CLI
    refuses to set is named, and changes nothing."""
    recorded = play(stage, LOCAL, mode=Mode(record="once"))

    assert report(recorded) == ""
    assert len([one for one in recorded.transcript.interactions if one.canonical.messages]) == 3
    assert report(play(stage, LOCAL)) == ""


def test_a_command_of_the_project_is_a_prompt_like_any_other(stage: Stage) -> None:
    assert report(play(stage, OWN, claude(setting_sources=["project"]))) == ""
