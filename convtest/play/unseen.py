"""A play of which too little was seen, or nothing: an error of the set-up, never a green item."""

from convtest.checks.adoption import nobodys
from convtest.config import Config
from convtest.errors import ClientError, NothingCaptured
from convtest.play.network import SEES, Traffic
from convtest.transcript import Transcript


def has_to_be_seen(config: Config, transcript: Transcript) -> None:
    """Raises ClientError where a profile says that all of its client is seen, and whose requests are whose is not."""
    clients = dict.fromkeys(record.client for record in transcript.turns())
    declared = [one for one in clients if config.profile(one).wire == "history"]
    if declared:
        unknown, asked = len(nobodys(transcript)), len(transcript.interactions)
        raise ClientError(
            f'it declares wire = "history", and no session could be told for {unknown} of {asked} requests',
            client=declared[0],
            help="tell the application the session's name, and give each conversation's calls a base URL that ends in "
            'it: {url}/s/app/<session>; or declare wire = "none"',
        )


def has_to_be_captured(transcript: Transcript, traffic: Traffic) -> None:
    """Raises NothingCaptured where clients that say that they are seen were not, and connected to somebody."""
    seen = any(one.wire == "history" and one.policy.unsent == "never" for one in transcript.turns())
    if transcript.source == "recorded" and seen and traffic.opened and not transcript.interactions:
        raise NothingCaptured(item=traffic.item, opened=traffic.opened, help=SEES)
