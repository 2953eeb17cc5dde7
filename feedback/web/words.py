"""How values read to people: moments, durations, numbers, names of the glossary."""

import math
from datetime import datetime, timedelta

_PLAIN = {
    "fine_tune": "fine-tune",
    "not_needed": "not needed",
    "primary": "better",
    "harm": "worse, by outcomes",
    "harm_fast": "worse, by first ratings",
    "futility": "no lift worth finding",
    "srm": "split is broken",
    "ground": "ungrounded",
    "tone": "off brand",
    "slow": "slow",
    "error": "failed",
    "undelivered": "undelivered",
}
_UNKNOWN = "\N{EN DASH}"
_THIN = "\N{NARROW NO-BREAK SPACE}"


def plain(name: object) -> str:
    """Returns an internal name as people say it; an empty one as a dash."""
    text = str(name or "")
    return _PLAIN.get(text, text.replace("_", " ")) or _UNKNOWN


def moment(value: datetime | None) -> str:
    """Returns a moment in UTC, to the minute."""
    return value.strftime("%-d %b %Y, %H:%M") if value is not None else _UNKNOWN


def ago(value: datetime | None, now: datetime) -> str:
    """Returns how long ago a moment was, coarse enough not to change every second."""
    if value is None:
        return "never"
    passed = now - value
    if passed < timedelta(minutes=1):
        return "just now"
    return f"{duration(passed.total_seconds())} ago"


def duration(seconds: float | None) -> str:
    """Returns a duration in its largest sensible unit."""
    if seconds is None or not math.isfinite(seconds):
        return _UNKNOWN
    for size, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {name}{'s' if count > 1 else ''}"
    return f"{max(0, round(seconds))} s"


def number(value: float | None) -> str:
    """Returns a count with its thousands set apart."""
    return _UNKNOWN if value is None else f"{value:,.0f}".replace(",", _THIN)


def percent(share: float | None) -> str:
    """Returns a share of 1 in percent; a decimal only below 10 %."""
    if share is None or not math.isfinite(share):
        return _UNKNOWN
    digits = 0 if abs(share) >= 0.0995 or share == 0 else 1
    return f"{100 * share:.{digits}f}{_THIN}%"


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
