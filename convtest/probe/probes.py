"""The conversations that a client is probed with, each a few steps after a fact has been told."""

from collections.abc import Mapping

STORY = "Tell me a long story about a lighthouse."
NEXT = "What did I say?"
HEAD = """
    scenario: probe
    timeout: 60s
    facts:
      who: {tell: My name is Ada., ask: What is my name?, answer: Ada}
    tools:
      look_up:
        description: Looks something up.
        input: {what: string}
        answers: [{return: in the attic}]
    steps:
      - tell: who
"""
STAND_INS = frozenset({"look_up"})
"""Tools of the probes and not of the client."""
_ANSWERS = r"""
      - user: Say something with blanks.
        simulate: {text: "  Two  spaces, **bold** and <b>tags</b>, 😀 and 👩\u200d👩\u200d👧.\n\n- a list\n"}
      - user: Say something in Markdown.
        simulate: {text: "# A head\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```python\nx = 1 < 2 and 3 > 2\n```\n"}
      - user: Say something in JSON.
        simulate: {text: "{\"a\":  [1, 2],\n \"b\": \"x\"}"}
      - user: Think aloud.
        simulate: {text: "<think> Six times seven. </think> It is 42."}
      - user: Say something and look it up.
        simulate:
          - {thinking: Where may it be?, text: "I will look. ", calls: [{look_up: {what: it}}]}
          - {text: It is in the attic.}
      - user: Look up two things.
        simulate:
          - {text: "First one. ", calls: [{look_up: {what: one}}]}
          - {text: " Then the other. ", calls: [{look_up: {what: other}}]}
          - {text: Both are in the attic.}
"""
"""What clients change on its way: blanks at edges and doubled, Markdown, HTML, emoji in pieces, JSON, thoughts, text
around calls."""
PROBES: Mapping[str, str] = {
    "interrupted": f"""
      - {{user: {STORY}, simulate: {{words: 30}}, interrupt: {{after: 5}}}}
      - user: {NEXT}
    """,
    "interrupted early": f"""
      - {{user: {STORY}, simulate: {{words: 30}}, interrupt: {{after: 0}}}}
      - user: {NEXT}
    """,
    "interrupted before": f"""
      - {{user: {STORY}, simulate: {{words: 30}}, interrupt: {{at: before_request}}}}
      - user: {NEXT}
    """,
    "interrupted at a tool": f"""
      - user: {STORY}
        simulate: [{{calls: [{{look_up: {{what: it}}}}]}}, {{words: 10}}]
        interrupt: {{at: tool_use}}
      - user: {NEXT}
    """,
    "answers": _ANSWERS,
    "answers again": _ANSWERS,
    "killed": f"""
      - {{user: {STORY}, simulate: {{words: 30}}, disturb: {{do: kill, after: 5}}}}
      - resume: main
      - user: {NEXT}
    """,
    "killed early": f"""
      - {{user: {STORY}, simulate: {{words: 30}}, disturb: {{do: kill, after: 0}}}}
      - resume: main
      - user: {NEXT}
    """,
    "killed at a tool": f"""
      - user: {STORY}
        simulate: [{{text: "I will look. ", calls: [{{look_up: {{what: it}}}}]}}, {{words: 10}}]
        disturb: {{do: kill, at: tool_use}}
      - resume: main
      - user: {NEXT}
    """,
    "cleared": f"""
      - clear: main
      - user: {STORY}
      - resume: main
      - user: {NEXT}
    """,
    "reset": f"""
      - {{user: {STORY}, simulate: {{words: 30}}, fault: {{do: reset, after: 8}}}}
    """,
    "close": f"""
      - {{user: {STORY}, simulate: {{words: 30}}, fault: {{do: close, after: 8}}}}
    """,
    "malformed": f"""
      - {{user: {STORY}, simulate: {{words: 30}}, fault: {{do: malformed, after: 8}}}}
    """,
    "error event": f"""
      - {{user: {STORY}, simulate: {{words: 30}}, fault: {{do: error_event, after: 8}}}}
    """,
    "529": f"""
      - {{user: {STORY}, simulate: {{words: 30}}, fault: {{status: 529, times: 2}}}}
    """,
    "429": f"""
      - {{user: {STORY}, simulate: {{words: 30}}, fault: {{status: 429, retry_after: 3s}}}}
    """,
    "fork": f"""
      - {{fork: main, as: other}}
      - {{session: other, user: Call me Grace from now on.}}
      - {{session: main, user: {NEXT}}}
    """,
}
FAULTS = {
    "reset": "a connection that is reset in mid-text",
    "close": "a stream that is closed in mid-text",
    "malformed": "a stream that turns into garbage",
    "error event": "an error event in mid-stream",
    "529": "two answers of 529 (overloaded)",
    "429": "an answer of 429 that asks for 3 s",
}
