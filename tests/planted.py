"""Secrets of every kind that is known, made up anew in each run: none stands in this repository."""

import base64
import random
import string
from collections.abc import Callable, Mapping
from textwrap import wrap

WORD = string.ascii_letters + string.digits
HEX = "0123456789abcdef"
CAPS = string.ascii_uppercase + string.digits
DASHED = WORD + "_-"
BASE64 = WORD + "+/"


class Chance:
    """Letters by chance: as many as are asked for, and at least a digit and a capital among them where there can be."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def of(self, letters: str, count: int) -> str:
        made = [self._random.choice(letters) for _ in range(count)]
        for at, wanted in enumerate((string.digits, string.ascii_uppercase), 1):
            of_them = [letter for letter in letters if letter in wanted]
            if of_them and count > 4:
                made[at * count // 4] = self._random.choice(of_them)
        if letters.startswith(WORD) and count > 3:
            made[0], made[-1] = self._random.choice(WORD), self._random.choice(WORD)
        return "".join(made)

    def uuid(self) -> str:
        return "-".join(self.of(HEX, count) for count in (8, 4, 4, 4, 12))

    def lines(self, count: int) -> str:
        return "\n".join(wrap(self.of(BASE64, 64 * count - 2) + "==", 64))


def _prefixed(prefix: str, letters: str, count: int, after: str = "") -> Callable[[Chance], str]:
    return lambda chance: prefix + chance.of(letters, count) + after


_KEYS: Mapping[str, Callable[[Chance], str]] = {
    "anthropic": _prefixed("sk-ant-api03-", DASHED, 93, "AA"),
    "openai": _prefixed("sk-proj-", DASHED, 120),
    "openai, old": _prefixed("sk-", WORD, 48),
    "openrouter": _prefixed("sk-or-v1-", HEX, 64),
    "langfuse": lambda chance: f"sk-lf-{chance.uuid()}",
    "groq": _prefixed("gsk_", WORD, 52),
    "xai": _prefixed("xai-", WORD, 80),
    "replicate": _prefixed("r8_", WORD, 37),
    "perplexity": _prefixed("pplx-", WORD, 48),
    "hugging face": _prefixed("hf_", WORD, 34),
    "cerebras": _prefixed("csk-", string.ascii_lowercase + string.digits, 48),
    "nvidia": _prefixed("nvapi-", DASHED, 64),
    "together": _prefixed("tgp_v1_", DASHED, 43),
    "fireworks": _prefixed("fw_", WORD, 24),
    "tavily": _prefixed("tvly-dev-", WORD, 32),
    "pinecone": _prefixed("pcsk_", WORD + "_", 70),
    "elevenlabs": _prefixed("sk_", HEX, 48),
    "langsmith": lambda chance: f"lsv2_pt_{chance.of(HEX, 32)}_{chance.of(HEX, 10)}",
    "bedrock": _prefixed("ABSK", BASE64, 110, "=="),
    "aws key id": _prefixed("AKIA", CAPS, 16),
    "aws key id of a session": _prefixed("ASIA", CAPS, 16),
    "aws session token": _prefixed("IQoJb3JpZ2lu", BASE64, 200),
    "google": _prefixed("AIza", DASHED, 35),
    "google oauth secret": _prefixed("GOCSPX-", DASHED, 28),
    "google access token": _prefixed("ya29.", DASHED, 120),
    "google refresh token": _prefixed("1//0", DASHED, 60),
    "digitalocean": _prefixed("dop_v1_", HEX, 64),
    "vault": _prefixed("hvs.", DASHED, 90),
    "databricks": _prefixed("dapi", HEX, 32),
    "supabase": _prefixed("sbp_", HEX, 40),
    "terraform": lambda chance: f"{chance.of(WORD, 14)}.atlasv1.{chance.of(DASHED, 67)}",
    "azure client secret": lambda chance: f"{chance.of(WORD, 3)}8Q~{chance.of(DASHED + '.~', 34)}",
    "github": _prefixed("ghp_", WORD, 36),
    "github app": _prefixed("ghs_", WORD, 36),
    "github, fine": lambda chance: f"github_pat_{chance.of(WORD, 22)}_{chance.of(WORD, 59)}",
    "gitlab": _prefixed("glpat-", DASHED, 20),
    "gitlab deploy": _prefixed("gldt-", DASHED, 20),
    "npm": _prefixed("npm_", WORD, 36),
    "pypi": _prefixed("pypi-AgEIcHlwaS5vcmc", DASHED, 160),
    "docker": _prefixed("dckr_pat_", DASHED, 27),
    "atlassian": _prefixed("ATATT3xFfGF0", DASHED, 170),
    "sentry": _prefixed("sntryu_", HEX, 64),
    "grafana": lambda chance: f"glsa_{chance.of(WORD, 32)}_{chance.of(HEX, 8)}",
    "new relic": _prefixed("NRAK-", CAPS, 27),
    "postman": lambda chance: f"PMAK-{chance.of(HEX, 24)}-{chance.of(HEX, 34)}",
    "linear": _prefixed("lin_api_", WORD, 40),
    "notion": _prefixed("ntn_", WORD, 46),
    "stripe": _prefixed("sk_live_", WORD, 24),
    "stripe, restricted": _prefixed("rk_test_", WORD, 99),
    "stripe webhook": _prefixed("whsec_", WORD, 32),
    "square": _prefixed("sq0csp-", DASHED, 43),
    "shopify": _prefixed("shpat_", HEX, 32),
    "sendgrid": lambda chance: f"SG.{chance.of(DASHED, 22)}.{chance.of(DASHED, 43)}",
    "mailgun": _prefixed("key-", HEX, 32),
    "mailchimp": lambda chance: f"{chance.of(HEX, 32)}-us12",
    "brevo": lambda chance: f"xkeysib-{chance.of(HEX, 64)}-{chance.of(WORD, 16)}",
    "twilio": _prefixed("SK", HEX, 32),
    "telegram": lambda chance: f"{chance.of('123456789', 10)}:AA{chance.of(DASHED, 33)}",
    "slack bot": lambda chance: f"xoxb-{chance.of('123456789', 12)}-{chance.of('123456789', 12)}-{chance.of(WORD, 24)}",
    "slack app": lambda c: f"xapp-1-A{c.of(CAPS, 10)}-{c.of('123456789', 13)}-{c.of(HEX, 64)}",
    "slack webhook": lambda c: f"hooks.slack.com/services/T{c.of(CAPS, 10)}/B{c.of(CAPS, 10)}/{c.of(WORD, 24)}",
    "discord webhook": lambda c: f"discord.com/api/webhooks/{c.of('123456789', 18)}/{c.of(DASHED, 68)}",
    "age": _prefixed("AGE-SECRET-KEY-1", CAPS, 58),
    "airtable": lambda chance: f"pat{chance.of(WORD, 14)}.{chance.of(HEX, 64)}",
    "json web token": lambda c: f"eyJ{c.of(DASHED, 33)}.eyJ{c.of(DASHED, 60)}.{c.of(DASHED, 43)}",
}

_CONTEXTS: Mapping[str, tuple[str, Callable[[Chance], str]]] = {
    "aws secret key": ("aws_secret_access_key = {}", _prefixed("", WORD + "/+", 40)),
    "api key without a shape": ("MISTRAL_API_KEY={}", _prefixed("", WORD, 32)),
    "client secret": ('"client_secret": "{}"', _prefixed("", WORD, 40)),
    "token in a query": ("https://api.example.com/v1/x?access_token={}&page=2", _prefixed("", WORD, 40)),
    "bearer": ("curl -H 'Authorization: Bearer {}'", _prefixed("", WORD, 40)),
    "basic": (
        "Authorization: Basic {}",
        lambda chance: base64.b64encode(f"ada:{chance.of(WORD, 18)}".encode()).decode(),
    ),
    "password of a database": ("postgres://app:{}@db.internal:5432/main", _prefixed("", WORD, 14)),
    "password of a proxy": ("HTTPS_PROXY=http://ada:{}@proxy.internal:3128", _prefixed("", WORD + "%!", 12)),
    "password": ("PGPASSWORD={} psql", _prefixed("", WORD + "!", 14)),
    "curl's user": ("curl -s -u ada:{} https://example.com", _prefixed("", WORD, 16)),
}


def _pem(kind: str) -> Callable[[Chance], str]:
    return lambda chance: f"-----BEGIN {kind}-----\n{chance.lines(9)}\n-----END {kind}-----"


_BLOCKS: Mapping[str, Callable[[Chance], str]] = {
    "rsa key": _pem("RSA PRIVATE KEY"),
    "pkcs8 key": _pem("PRIVATE KEY"),
    "openssh key": _pem("OPENSSH PRIVATE KEY"),
    "ec key": _pem("EC PRIVATE KEY"),
    "encrypted key": _pem("ENCRYPTED PRIVATE KEY"),
    "pgp key": _pem("PGP PRIVATE KEY BLOCK"),
}


class Planted:
    """One secret: the text that it stands in, and what must be nowhere."""

    def __init__(self, kind: str, text: str, secret: str) -> None:
        self.kind, self.text, self.secret = kind, text, secret

    @property
    def traces(self) -> list[str]:
        """Parts of it, each long enough to be nothing else; lines of a key that has several."""
        lines = [line for line in self.secret.splitlines() if len(line) >= 10 and not line.startswith("-----")]
        middle = [line[len(line) // 2 - 5 : len(line) // 2 + 5] for line in lines]
        return [*lines, *middle]

    def left_in(self, text: str) -> bool:
        return any(trace in text for trace in self.traces)


def planted(seed: int = 1) -> list[Planted]:
    """One of each kind."""
    chance = Chance(seed)
    found = [Planted(kind, secret, secret) for kind, make in {**_KEYS, **_BLOCKS}.items() for secret in [make(chance)]]
    for kind, (text, make) in _CONTEXTS.items():
        secret = make(chance)
        found.append(Planted(kind, text.format(secret), secret))
    return found
