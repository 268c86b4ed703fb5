"""What our own clients were measured to do."""

from convtest.policy import Policy

POLICY = Policy(
    interrupted_prompt="kept",
    early_interrupt="kept",
    partial_text="yielded",
    killed_prompt="kept",
    killed_text="yielded",
    cleared="gone",
    cleared_id="new",
    said="exact",
    settings="fixed",
    thinking="kept",
    white_space="kept",
)
