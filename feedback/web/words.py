"""How values read to people: moments, durations, numbers, names of the glossary."""

import math
from datetime import datetime

from feedback.domain.trial import decision_words

_PLAIN = {"fine_tune": "fine-tune", "not_needed": "not needed"}
_UNKNOWN = "\N{EN DASH}"
_THIN = "\N{NARROW NO-BREAK SPACE}"


def plain(name: object) -> str:
    """Returns an internal name as people say it; an empty one as a dash."""
    text = str(name or "")
    return _PLAIN.get(text, text.replace("_", " ")) or _UNKNOWN


def decision(code: str) -> str:
    """Returns an experiment's decision as people say it, such as `HOLD_response`."""
    return decision_words(code)


def moment(value: datetime | None) -> str:
    """Returns a moment in UTC, to the minute."""
    return value.strftime("%-d %b %Y, %H:%M") if value is not None else _UNKNOWN


def ago(value: datetime | None, now: datetime) -> str:
    """Returns how long ago a moment was, coarse enough not to change every second."""
    if value is None:
        return "never"
    passed = (now - value).total_seconds()
    for size, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if passed >= size:
            count = int(passed // size)
            return f"{count} {name}{'s' if count > 1 else ''} ago"
    return "just now"


def duration(seconds: float | None) -> str:
    """Returns a duration in its two largest units."""
    if seconds is None or not math.isfinite(seconds):
        return _UNKNOWN
    left = max(0, round(seconds))
    if left < 60:
        return f"{left} s"
    units = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
    first = next(index for index, (size, _) in enumerate(units) if left >= size)
    parts = []
    for size, name in units[first : first + 2]:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts)


def number(value: float | None) -> str:
    """Returns a count with its thousands set apart."""
    return _UNKNOWN if value is None else f"{value:,.0f}".replace(",", _THIN)


def percent(share: float | None) -> str:
    """Returns a share of 1 in percent; a decimal only below 10 %."""
    if share is None or not math.isfinite(share):
        return _UNKNOWN
    digits = 0 if abs(share) >= 0.0995 else 1
    return f"{100 * share:.{digits}f}".removesuffix(".0") + f"{_THIN}%"


def figure(value: float | None) -> str:
    """Returns a measured value with three significant digits; huge and tiny ones as powers."""
    if value is None or math.isnan(value):
        return _UNKNOWN
    if value and not 0.001 <= abs(value) < 1e6:
        return f"{value:.1e}".replace("e+0", "e").replace("e+", "e").replace("e-0", "e-")
    return f"{value:,.0f}".replace(",", _THIN) if abs(value) >= 1000 else f"{value:.3g}"


def short(digest: str | None) -> str:
    """Returns the start of a content hash."""
    return digest[:12] if digest else _UNKNOWN
