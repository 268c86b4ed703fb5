"""What is a secret is found wherever and however it is spelled; what only looks like one stays as it is."""

import base64
import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from convtest.cassettes.dummies import is_dummy
from convtest.cassettes.naming import Names
from convtest.cassettes.scrubbing import NOTHING_KNOWN, Scrubber
from tests.planted import Planted, planted

PLANTED = planted()
SPELLINGS: dict[str, Callable[[str], str]] = {
    "alone": lambda text: text,
    "in prose": lambda text: f"It is {text}, as I said; keep it.",
    "quoted": lambda text: f"key = '{text}'",
    "on a line": lambda text: f"first\n{text}\nlast\n",
    "in JSON": lambda text: json.dumps({"note": f"first\n{text}\nlast"}),
    "in JSON in JSON": lambda text: json.dumps({"arguments": json.dumps({"note": f"first\n{text}\nlast"})}),
    "in letters of JSON": lambda text: "".join(f"\\u{ord(letter):04x}" for letter in f"It is {text} there"),
    "in markdown": lambda text: f"```\n{text}\n```\n",
    "of a listing": lambda text: "\n".join(f"{n:>6}\t{line}" for n, line in enumerate(text.splitlines(), 1)),
}


@pytest.mark.parametrize("spelled", SPELLINGS)
def test_each_kind_is_found_however_it_is_spelled(spelled: str) -> None:
    left = [one.kind for one in PLANTED if _left(one, NOTHING_KNOWN.text(SPELLINGS[spelled](one.text)))]

    assert len(PLANTED) >= 80
    assert left == []


def _left(one: Planted, text: str) -> bool:
    plain = json.loads(f'"{text}"') if text.startswith("\\u") else text
    return one.left_in(plain)


def test_each_is_numbered_by_value_whatever_its_spelling() -> None:
    for one in PLANTED:
        names = Names(NOTHING_KNOWN)
        told = [names.text(one.text), json.loads(names.text(json.dumps(one.text)))]

        assert told[0] == told[1], one.kind
        assert told[0].count("-1") == 1 or one.kind == "json web token", one.kind


def test_known_values_are_found_in_base64_and_hex_wherever_they_stand_in_it() -> None:
    known = Scrubber({"MY_KEY": "correct horse, battery/staple"})
    for before in ("", "u", "us", "user:", '{"k": "'):
        data = f"{before}correct horse, battery/staple{before}".encode()
        for spelled in (
            base64.b64encode(data).decode(),
            base64.urlsafe_b64encode(data).decode(),
            data.hex(),
            data.hex().upper(),
        ):
            text = known.text(f"Basic {spelled}.")
            assert "SCRUBBED_MY_KEY_" in text, (before, spelled)
            assert spelled[12:30] not in text


ORDINARY = [
    line
    for name in ("README.md", "docs/checks.md", "docs/cassettes.md", "convtest/wire/tap.py", "convtest/config.py")
    for line in (Path(__file__).parent.parent / name).read_text(encoding="utf-8").splitlines()
    if line.strip() and "SCRUBBED" not in line and "/HOME" not in line and "/ITEM" not in line
]
LOOKALIKES = """
sk-fading-circle sk-spinner-pulse .sk-folding-cube-of-the-page2 task-list-item sk-test sk-test-key-1 sk-...
model: claude-sonnet-4-5-20250929, gpt-4.1-mini-2025-04-14, pplx-70b-online, llama-3.1-sonar-small-128k-online
us.anthropic.claude-3-7-sonnet-20250219-v1:0 accounts/fireworks/models/llama-v3p1-405b-instruct text-embedding-3-large
toolu_01A09q90qw90lq917835lq9 msg_01XFDUDYJgAACzvnptvVoYEL req_011CSHoEeqs5C35K2UUqR7Fy call_9pFfT1Gd2mLq8sVb3nXc7wYz
chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT resp_67ccd2bed1ec8190b14f964abc0542670bb6a6b452d3795b
fc_67ca09c6bedc8190a7abfec07b1a1332096610f474011cc0 rs_0cf4b2f5d8a1e9 srvtoolu_014hJH82Qum7Td6UV8gDXThB
e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 d41d8cd98f00b204e9800998ecf8427e
commit 9fceb02d0ae598e95dc970b74767f19372d61af8 index 83db48f..bf2d8a4 100644
123e4567-e89b-12d3-a456-426614174000 session_id=0190163d-8694-739b-aea5-966c26f8ad90 etag: W/"5f3c-18c2"
sha512-9Bg8J1p5Wc4uQ8dM5C3r7x2hX0a6bF1nE4tY7uI0oP3sD6fG9hJ2kL5zX8cV1bN4mQ7wE0rT3yU6iO9pA2sD5g==
/login?token=:token /users/:id/keys /api/v1/keys/list?page=2&limit=50&order=created_at&after=item_0123456789
https://example.com/search?q=how+to+reset+a+password&lang=en&sort=newest&category=accounts-and-billing
http://localhost:8080/v1 http://user:password@localhost:5432/db postgres://postgres:postgres@db/test redis://:@cache
postgresql+asyncpg://${DB_USER}:${DB_PASSWORD}@${DB_HOST}/app http://<user>:<password>@proxy https://a.example:443/x@y
password: str = Field(min_length=8) password = getpass.getpass("Password: ") password=settings.db2.password
"password": {"type": "string", "minLength": 8} PASSWORD_HASHERS = ["argon2"] password_reset_token_expired
api_key = os.environ["OPENAI_API_KEY2"] api_key: YOUR_API_KEY_HERE API_KEY=xxxxxxxxxxxxxxxxxxxxxxxx api_key="<your key>"
token = self.tokenizer.encode_v2(text) token: generateOAuth2TokenForUser secret = kubernetes-secret-name-in-namespace
next_page_token: "CAUQAA" max_tokens: 4096 input_tokens=123456789 "cache_creation_input_tokens": 1024
Basic Authentication is simple. basic understanding of basics. Bearer authentication-and-authorisation
AKIAIOSFODNN7EXAMPLE wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY ASIAPACIFICREGIONALXX npm_config_registry npm_package_json
pypi-server hf_hub_download hf_transformers_cache whsec_test shpat_ SG.UN and SG.XX, glpat-example r8_ gsk_ xai-grok-4
-----BEGIN PUBLIC KEY----- -----BEGIN CERTIFICATE----- The line "-----BEGIN PRIVATE KEY-----" begins a key.
class="flex items-center justify-between px-4 py-2 text-sm font-medium hover:bg-gray-100 dark:hover:bg-gray-700"
--experimental-json-output-format=stream --max-old-space-size=4096 NODE_OPTIONS=--enable-source-maps-in-production
SELECT user_id, account_name, org_unit FROM user_preferences_2024 WHERE project_id = 'proj_internal'
key-value-store-implementation monkey-patching-the-module re_compile_with_flags patterns.atlas pat.match(text)
"""


def test_ordinary_code_and_prose_stay_as_they_are() -> None:
    assert len(ORDINARY) > 600
    changed = [line for line in ORDINARY if NOTHING_KNOWN.finds(line)]

    assert changed == []


@pytest.mark.parametrize("line", LOOKALIKES.strip().splitlines(), ids=lambda line: line[:30])
def test_what_only_looks_like_a_secret_stays(line: str) -> None:
    assert NOTHING_KNOWN.text(line) == line
    assert NOTHING_KNOWN.text(json.dumps(line)) == json.dumps(line)


def test_a_picture_in_base64_stays_and_a_key_beside_it_does_not() -> None:
    picture = base64.b64encode(random.Random(3).randbytes(60_000)).decode()
    key = next(one for one in PLANTED if one.kind == "groq").text

    assert NOTHING_KNOWN.text(picture) == picture
    assert NOTHING_KNOWN.text(f"{picture} {key}") == f"{picture} SCRUBBED_KEY"
    assert key not in NOTHING_KNOWN.text(f"data:image/png;base64,{picture}/{key}")


@pytest.mark.parametrize(
    "value",
    [
        "sk-test",
        "sk-xxxxxxxxxxxxxxxx",
        "YOUR_API_KEY",
        "dummy",
        "REDACTED",
        "Bearer test-key-1",
        "<token>",
        "${KEY}",
        "***",
        "fake_token",
    ],
)
def test_dummies(value: str) -> None:
    assert is_dummy(value)


@pytest.mark.parametrize("one", PLANTED[:12], ids=lambda one: one.kind)
def test_a_key_beside_the_word_dummy_is_none(one: Planted) -> None:
    assert not is_dummy(f"dummy {one.secret}")
    assert not is_dummy(one.secret)
