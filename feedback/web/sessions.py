"""Sessions without a table: a cookie that only the holder of the token could have been given."""

import hashlib
import hmac
from datetime import datetime, timedelta

COOKIE = "understudy_session"
LIFETIME = timedelta(hours=12)
_PURPOSE = b"understudy web session"


def token_matches(token: str, given: str) -> bool:
    """Compares in constant time; both sides are hashed first, so that lengths stay secret too."""
    return hmac.compare_digest(_digest(token), _digest(given))


def issue(token: str, now: datetime) -> str:
    """Returns a cookie value that is good for `LIFETIME`; another token makes it worthless."""
    expires = int((now + LIFETIME).timestamp())
    return f"{expires}.{_signature(token, expires)}"


def is_valid(token: str, cookie: str, now: datetime) -> bool:
    """Whether `issue` made this cookie with this token and it has not expired."""
    text, _, signature = cookie.partition(".")
    if not text.isascii() or not text.isdigit() or len(text) > 12:
        return False
    expires = int(text)
    good = hmac.compare_digest(signature.encode(), _signature(token, expires).encode())
    return good and now.timestamp() < expires


def _signature(token: str, expires: int) -> str:
    key = hmac.new(token.encode(), _PURPOSE, hashlib.sha256).digest()
    return hmac.new(key, str(expires).encode(), hashlib.sha256).hexdigest()


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
