"""Secrets: tokens, keys and passwords. They are removed before the first write, never kept."""

import re
from collections.abc import Iterator

from feedback.redaction.lists import fold, load_words
from feedback.redaction.spans import SECRET, Span

_B = r"(?<![A-Za-z0-9_\-])"
_E = r"(?![A-Za-z0-9_\-])"

_PEM = (
    r"-----BEGIN[ A-Z0-9]*PRIVATE KEY[ A-Z]*-----"
    r"(?:[\s\S]*?-----END[ A-Z0-9]*PRIVATE KEY[ A-Z]*-----|[A-Za-z0-9+/=\s:,\-]*)"
)
_TOKENS = (
    # Slack: bot, user, refresh, legacy, app-level and configuration tokens; webhooks.
    rf"{_B}xox[a-z](?:\.xox[a-z])?-[A-Za-z0-9-]{{8,}}",
    rf"{_B}xapp-[A-Za-z0-9-]{{8,}}",
    r"https?://hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/[A-Za-z0-9_/+\-]{8,}",
    # AWS access key ids.
    rf"{_B}(?:AKIA|ASIA|ABIA|ACCA|AGPA|AIDA|AROA)[A-Z0-9]{{16}}{_E}",
    # GitHub, GitLab.
    rf"{_B}gh[pousr]_[A-Za-z0-9]{{20,}}",
    rf"{_B}github_pat_[A-Za-z0-9_]{{20,}}",
    rf"{_B}gl(?:pat|ptt|dt|rt|soat)-[A-Za-z0-9_\-]{{16,}}",
    # OpenAI, Anthropic and others that took over the prefix; Hugging Face.
    rf"{_B}sk-(?:[a-z0-9]+-)*[A-Za-z0-9_\-]{{16,}}",
    rf"{_B}hf_[A-Za-z0-9]{{20,}}",
    rf"{_B}api_org_[A-Za-z0-9]{{20,}}",
    # JSON Web Tokens (also unsigned ones).
    rf"{_B}eyJ[A-Za-z0-9_\-]{{8,}}\.[A-Za-z0-9_\-]{{4,}}(?:\.[A-Za-z0-9_\-]*)?",
    # Google: API key, OAuth access token and client secret.
    rf"{_B}AIza[A-Za-z0-9_\-]{{30,}}",
    rf"{_B}ya29\.[A-Za-z0-9_\-]{{16,}}",
    rf"{_B}GOCSPX-[A-Za-z0-9_\-]{{16,}}",
    # Stripe keys and webhook secrets.
    rf"{_B}(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{{8,}}",
    rf"{_B}whsec_[A-Za-z0-9+/=]{{16,}}",
    # SendGrid, npm, PyPI, DigitalOcean, Telegram, Twilio, Mailchimp, Shopify, Databricks, Docker.
    rf"{_B}SG\.[A-Za-z0-9_\-]{{16,}}\.[A-Za-z0-9_\-]{{16,}}",
    rf"{_B}npm_[A-Za-z0-9]{{30,}}",
    rf"{_B}pypi-[A-Za-z0-9_\-]{{30,}}",
    rf"{_B}do[opr]_v1_[a-f0-9]{{32,}}",
    rf"{_B}[0-9]{{8,10}}:AA[A-Za-z0-9_\-]{{30,}}",
    rf"{_B}(?:SK|AC)[a-f0-9]{{32}}{_E}",
    rf"{_B}[a-f0-9]{{32}}-us[0-9]{{1,2}}{_E}",
    rf"{_B}shp(?:at|ca|pa|ss)_[a-fA-F0-9]{{32}}",
    rf"{_B}dapi[a-f0-9]{{32}}",
    rf"{_B}dckr_pat_[A-Za-z0-9_\-]{{20,}}",
    # Private keys, whole block, even when its end is cut off.
    _PEM,
    # A URL that carries a password.
    r"(?<![A-Za-z0-9+.\-])[A-Za-z][A-Za-z0-9+.\-]{1,20}://[^\s/:@<>\"']*:[^\s/@<>\"']+@[^\s<>\"'|]+",
    # HTTP credentials.
    r"(?i:\bbearer\s+)(?P<bearer>[A-Za-z0-9_\-.~+/]{12,}=*)",
    r"(?i:\bauthorization\s*:\s*basic\s+)(?P<basic>[A-Za-z0-9+/]{8,}=*)",
    # Azure storage.
    r"(?i:\bAccountKey\s*=\s*)(?P<azure>[A-Za-z0-9+/]{40,}=*)",
)
_TOKEN = re.compile("|".join(_TOKENS))
# None of the patterns above can match a text without one of these.
_HINT = re.compile(
    r"xox|xapp-|hooks\.slack|A[KSBCGIR][ICPDO]A|gh[pousr]_|github_pat|gl[a-z]+-|sk-|hf_"
    r"|api_org_|eyJ|AIza"
    r"|ya29|GOCSPX|_live_|_test_|whsec_|SG\.|npm_|pypi-|_v1_|:AA|SK|AC|-us|shp|dapi|dckr"
    r"|PRIVATE KEY"
    r"|://[^/\s]*@|(?i:bearer|basic|AccountKey)"
)

_NAMES = (
    r"pass(?:word|wd|phrase|code|wort)?|pwd|kennwort|secret(?:[ _-]?(?:access[ _-]?)?key)?"
    r"|api[ _-]?key|access[ _-]?key(?:[ _-]?id)?|access[ _-]?token|auth[ _-]?token"
    r"|client[ _-]?secret"
    r"|private[ _-]?key|signing[ _-]?secret|token|credentials?"
)
_PAIR = re.compile(
    rf"(?i:(?<![A-Za-z0-9])(?:[A-Za-z0-9]+[_-])*(?:{_NAMES})[\"'`*]*\s*(?::=|=>|[:=])\s*)"
    r"(?:\"(?P<double>[^\"\n]{3,200})\"|'(?P<single>[^'\n]{3,200})'|`(?P<tick>[^`\n]{3,200})`"
    r"|[*_]*(?P<plain>[^\s\"'`<>]{3,200}))"
)
_SPOKEN = re.compile(
    r"(?i:\b(?:password|passwd|pwd|passphrase|passcode|pass|api key|secret|token)"
    r"(?:\s+(?:for|of|to)(?:\s+\S+){1,3}?)?"
    r"\s+(?:is|was|are|to|as)(?:\s+(?:now|still|set to|currently))?\s*:?\s+)"
    r"(?:\"(?P<double>[^\"\n]{3,100})\"|'(?P<single>[^'\n]{3,100})'|`(?P<tick>[^`\n]{3,100})`"
    r"|(?P<plain>[^\s\"'`<>]{4,100}))"
)
_CODE = re.compile(
    r"(?i:\b(?:pin|cvv2?|cvc2?|csc|otp|passcode|security code|verification code"
    r"|one[- ]time code|2fa code"
    r"|login code)(?:\s+(?:code|number|no\.?))?\s*(?:\(.{1,20}\)\s*)?(?:is|was|:|=|#)?\s*)"
    r"(?P<code>\d{3,8}|\d{3}[ -]\d{3})(?![\w.])"
)
_KEYWORD = re.compile(r"(?i)pass|pwd|kennwort|secret|key|token|credential|pin|cvv|cvc|csc|otp|code")
_CLOSING = ".,;:!?)]}*_"
_DIGIT = re.compile(r"\d")
_SYMBOL = re.compile(r"[^\w\s'\u2019.,?!;:)\-]|_")


class CredentialDetector:
    """Finds tokens by their issuers' formats, and values that a text calls a password or key."""

    def __init__(self) -> None:
        self._common = load_words("common_words.txt")

    def find(self, text: str) -> Iterator[Span]:
        """Yields SECRET spans; of a pair only the value."""
        if _HINT.search(text):
            for match in _TOKEN.finditer(text):
                start, end = match.span(match.lastgroup or 0)
                yield Span(type=SECRET, start=start, end=_without_closing(text, start, end))
        if not _KEYWORD.search(text):
            return
        for match in _PAIR.finditer(text):
            yield from self._value(text, match, spoken=False)
        for match in _SPOKEN.finditer(text):
            yield from self._value(text, match, spoken=True)
        for match in _CODE.finditer(text):
            yield Span(type=SECRET, start=match.start("code"), end=match.end("code"))

    def _value(self, text: str, match: re.Match[str], *, spoken: bool) -> Iterator[Span]:
        group = match.lastgroup or "plain"
        start, end = match.span(group)
        if group == "plain":
            end = _without_closing(text, start, end)
        if end - start < 3:
            return
        value = text[start:end]
        if group == "plain" and not self._plausible(value, spoken=spoken):
            return
        yield Span(type=SECRET, start=start, end=end)

    def _plausible(self, value: str, *, spoken: bool) -> bool:
        """Whether an unquoted value is a secret rather than the next word of the sentence."""
        odd = bool(_DIGIT.search(value) or _SYMBOL.search(value))
        if spoken:
            mixed = value != value.lower() and value != value.upper() and not value.istitle()
            return odd or mixed
        return odd or (len(value) >= 4 and fold(value) not in self._common)


def _without_closing(text: str, start: int, end: int) -> int:
    while end > start and text[end - 1] in _CLOSING:
        end -= 1
    return end
