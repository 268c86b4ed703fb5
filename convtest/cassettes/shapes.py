"""The shapes of secrets that their issuers made to be recognised: a prefix of letters, then what may follow it.

The prefixes are those that the issuers publish. `docs/cassettes.md` says which are known.
"""

import re
from collections.abc import Iterator
from functools import cached_property
from itertools import groupby

from convtest.cassettes.contexts import is_made
from convtest.cassettes.rules import Rule
from convtest.cassettes.words import Words
from convtest.wire.marks import PLACEHOLDER, Found

_WORD = r"[A-Za-z0-9]"
_DASHED = r"[A-Za-z0-9_-]"
_MIXED = r"(?=[A-Za-z0-9_-]*\d)(?=[A-Za-z0-9_-]*[A-Z])"
"""A digit and a capital: names that people give have seldom both, `sk-fading-circle` has neither."""
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"

_KEYS: tuple[tuple[str, str], ...] = (
    # Models, and what agents look things up with
    ("sk-", rf"(?:{_MIXED}{_DASHED}{{16,}}|(?:[a-z0-9]+-)*[0-9a-f]{{24,}}|lf-{_UUID})"),
    ("gsk_", rf"{_WORD}{{32,}}"),
    ("xai-", rf"{_WORD}{{40,}}"),
    ("r8_", rf"{_WORD}{{30,}}"),
    ("pplx-", rf"{_WORD}{{32,}}"),
    ("hf_ api_org_", rf"{_WORD}{{30,}}"),
    ("csk-", rf"{_WORD}{{40,}}"),
    ("nvapi-", rf"{_DASHED}{{50,}}"),
    ("tgp_v1_", rf"{_DASHED}{{30,}}"),
    ("fw_", r"(?=[A-Za-z]*\d)[A-Za-z0-9]{22,}"),
    ("jina_", rf"{_DASHED}{{40,}}"),
    ("tvly-", r"(?:dev-|prod-)?(?=[A-Za-z-]*\d)[A-Za-z0-9-]{24,}"),
    ("fc-", r"[0-9a-f]{32}"),
    ("pcsk_", rf"{_DASHED}{{50,}}"),
    ("sk_", r"[0-9a-f]{40,}"),
    ("lsv2_pt_ lsv2_sk_", r"[0-9a-f]{32}_[0-9a-f]{10}"),
    ("e2b_", r"[0-9a-f]{40}"),
    ("wandb_v1_", rf"{_DASHED}{{40,}}"),
    ("ABSK", r"[A-Za-z0-9+/]{80,}={0,2}"),
    # Clouds
    ("AKIA", r"[0-9A-Z]{16}\b"),
    ("ASIA ABIA ACCA", r"(?=[A-Z]*\d)[0-9A-Z]{16}\b"),
    ("IQoJb3JpZ2lu FwoGZXIvYXdz", r"[A-Za-z0-9+/=_-]{60,}"),
    ("AIza", r"[0-9A-Za-z_-]{30,}"),
    ("AQ.Ab8", rf"{_DASHED}{{30,}}"),
    ("GOCSPX-", rf"{_DASHED}{{20,}}"),
    ("ya29.", r"[A-Za-z0-9_-][A-Za-z0-9_.-]{19,}"),
    ("1//0", rf"{_DASHED}{{40,}}"),
    ("dop_v1_ doo_v1_ dor_v1_", r"[0-9a-f]{64}"),
    ("LTAI", r"(?=[A-Za-z]*\d)[A-Za-z0-9]{12,20}\b"),
    ("HRKU-", rf"{_DASHED}{{36,}}"),
    ("FlyV1 fm2_ fo1_", r"[A-Za-z0-9_+/=,-]{40,}"),
    ("nfp_ vcp_ vck_ rnd_", rf"{_WORD}{{24,}}"),
    ("hvs. hvb.", rf"{_DASHED}{{24,}}"),
    ("pul-", r"[0-9a-f]{40}"),
    ("dp.pt. dp.st. dp.ct. dp.sa. dp.scim. dp.audit.", rf"(?:{_DASHED}+\.)?{_WORD}{{40,}}"),
    ("pscale_tkn_ pscale_pw_ pscale_oauth_", r"[A-Za-z0-9_.=-]{32,}"),
    ("sbp_", r"[0-9a-f]{40}"),
    ("sb_secret_", rf"{_DASHED}{{22,}}"),
    ("v1.0-", r"[0-9a-f]{24}-[0-9a-f]{146}"),
    ("dapi", r"[0-9a-f]{32}"),
    # Code and packages
    ("ghp_ gho_ ghu_ ghs_ ghr_", rf"{_WORD}{{30,}}"),
    ("github_pat_", r"[A-Za-z0-9_]{30,}"),
    (
        "glpat- gldt- glrt- glptt- glft- glimt- glagent- glcbt- gloas- glsoat- glffct- glrtr- GR1348941",
        r"[A-Za-z0-9_.-]{20,}",
    ),
    ("npm_", rf"{_WORD}{{36,}}"),
    ("pypi-AgE", rf"{_DASHED}{{50,}}"),
    ("rubygems_", r"[0-9a-f]{48}"),
    ("CLOJARS_", r"[a-z0-9]{60}"),
    ("dckr_pat_ dckr_oat_", rf"{_DASHED}{{24,}}"),
    ("AKCp cmVmdGtu", rf"{_WORD}{{50,}}"),
    ("ATATT3 ATCTT3 ATBB", r"(?=[A-Za-z_=.-]*\d)[A-Za-z0-9_=.-]{24,}"),
    ("sntrys_ sntryu_", r"[A-Za-z0-9+/=_]{40,}"),
    ("glsa_", r"[A-Za-z0-9]{32}_[0-9A-Fa-f]{8}"),
    ("glc_", r"[A-Za-z0-9+/]{32,}={0,2}"),
    ("NRAK- NRJS- NRII- NRIQ-", r"[A-Za-z0-9_-]{19,}"),
    ("PMAK-", r"[0-9a-f]{24}-[0-9a-f]{34}"),
    ("lin_api_ lin_oauth_", rf"{_WORD}{{32,}}"),
    ("ntn_ secret_", r"(?=[A-Za-z]*\d)[A-Za-z0-9]{40,}"),
    ("figd_ figo_", rf"{_DASHED}{{36,}}"),
    ("phx_", rf"{_WORD}{{32,}}"),
    ("pnu_ pnb_", r"[a-zA-Z0-9]{36}"),
    ("ops_eyJ", rf"{_DASHED}{{100,}}"),
    # Money, mail and messages
    ("sk_live_ sk_test_ sk_prod_ rk_live_ rk_test_ rk_prod_", r"(?=[A-Za-z]*\d)[A-Za-z0-9]{16,}"),
    ("whsec_", r"[A-Za-z0-9+/]{24,}={0,2}"),
    ("sq0atp- sq0csp- sq0idp-", rf"{_DASHED}{{22,}}"),
    ("shpat_ shpca_ shppa_ shpss_ shptka_", r"[0-9A-Fa-f]{32}"),
    ("EZAK EZTK", r"[A-Za-z0-9]{54}"),
    ("SG.", r"[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{16,64}"),
    ("key- pubkey-", r"[0-9a-f]{32}\b"),
    ("xkeysib- xsmtpsib-", r"[0-9a-f]{64}-[A-Za-z0-9]{16}"),
    ("re_", r"(?=[A-Za-z_]*\d)[A-Za-z0-9]{8}_[A-Za-z0-9]{20,}"),
    ("SK AC", r"[0-9a-f]{32}\b"),
    ("xoxa- xoxb- xoxc- xoxd- xoxe- xoxo- xoxp- xoxr- xoxs- xoxe.", r"(?=[A-Za-z.%-]*\d)[A-Za-z0-9.%-]{16,}"),
    ("xapp-", r"\d-[A-Za-z0-9]+-\d+-[A-Za-z0-9]{20,}"),
    ("hooks.slack.com/", r"(?:services|workflows|triggers)/[A-Za-z0-9_/-]{20,}"),
    ("discord.com/api/webhooks/ discordapp.com/api/webhooks/", r"\d+/[A-Za-z0-9_-]{40,}"),
    ("webhook.office.com/webhookb2/", r"[^\s\"'<>]{40,}"),
    # Keys of their own
    ("AGE-SECRET-KEY-1", r"[0-9A-Z]{58}"),
    ("pat", r"[A-Za-z0-9]{14}\.[0-9a-f]{64}"),
)
"""(prefixes, what follows): the prefixes are apart by blanks, and begin a word."""

_WITHIN: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("KEY", (":AA",), r"\b\d{8,10}:AA[A-Za-z0-9_-]{33}(?![A-Za-z0-9_-])"),
    ("KEY", (".atlasv1.",), r"\b[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,}"),
    ("KEY", ("-us",), r"\b[0-9a-f]{32}-us\d{1,2}\b"),
    ("KEY", ("Q~",), r"(?<![\w.~-])[A-Za-z0-9_~.-]{3}\dQ~[A-Za-z0-9_~.-]{31,34}(?![\w~-])"),
    ("TOKEN", ("eyJ",), r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"),
    ("ORGANISATION", ("org-",), rf"\borg-{_MIXED}[A-Za-z0-9]{{16,}}"),
    ("PROJECT", ("proj_",), rf"\bproj_{_MIXED}[A-Za-z0-9]{{16,}}"),
    ("ACCOUNT", ("acct_", "user_"), rf"\b(?:acct|user)_{_MIXED}[A-Za-z0-9]{{16,}}"),
    ("ACCOUNT", ("account_",), rf"(?<=account_){_UUID}"),
)
"""(kind, letters, pattern) of what is known by letters further in."""


class Shapes:
    """One look finds the letters of all of them: there are many, and most texts hold none."""

    def __init__(self) -> None:
        self._by_letters: dict[str, Rule] = {}
        for prefixes, rest in _KEYS:
            begins = "|".join(re.escape(one) for one in prefixes.split())
            self._add("KEY", tuple(prefixes.split()), rf"\b(?:{begins}){rest}")
        for row in _WITHIN:
            self._add(*row)

    @cached_property
    def _letters(self) -> "re.Pattern[str]":
        grouped = groupby(sorted(self._by_letters, reverse=True), key=lambda letters: letters[0])
        firsts = [(first, [re.escape(one[1:]) for one in letters]) for first, letters in grouped]
        return re.compile("|".join(f"{re.escape(first)}(?:{'|'.join(rest)})" for first, rest in firsts))

    def _add(self, kind: str, letters: tuple[str, ...], pattern: str) -> None:
        rule = Rule(pattern, f"{PLACEHOLDER}_{kind}", letters, accepts=is_made)
        self._by_letters.update(dict.fromkeys(letters, rule))

    def found(self, text: str, words: Words) -> Iterator[Found]:
        letters = dict.fromkeys(self._letters.findall(words.all)) if words.all else ()
        for rule in dict.fromkeys(self._by_letters[one] for one in letters):
            for start, end in words.having(rule.letters):
                yield from rule.between(text, start, end)


_PLAIN = frozenset({"key-", "pubkey-", "re_"})
"""Words begin with these, too."""
_TELLING = frozenset({"AKIA", "ASIA", "AIza"})


def beginnings(*, plain: bool = False) -> list[str]:
    """The prefixes that tell a secret before anything of the secret itself has come; `plain`: those that also begin
    words."""
    found = {one for prefixes, _ in _KEYS for one in prefixes.split()} | {"org-", "proj_", "acct_", "user_", "eyJ"}
    words = {one for one in found if one in _PLAIN or (one.isalpha() and one not in _TELLING)} - {"eyJ"}
    return sorted(words if plain else found - words)
