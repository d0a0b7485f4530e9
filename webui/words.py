"""Numbers, sizes, durations and moments as people read them; the filters of the pages."""

from __future__ import annotations

from datetime import UTC, datetime

from core.evaluation.defects import likely_range
from webui.browsers import browser_name

NOTHING = "\N{EN DASH}"
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_NOTHING_LEFT = 1e-9


def number(value: float | None, digits: int = 0) -> str:
    """`12,345`, or with `digits` after the point; a dash for nothing."""
    return NOTHING if value is None else f"{value:,.{digits}f}"


def figure(value: float | None) -> str:
    """A measured number with about four significant digits: `0.0123`, `1.234`, `12,345`."""
    if value is None:
        return NOTHING
    # What adding up times leaves over: no figure here is as small.
    size = abs(value)
    if size < _NOTHING_LEFT:
        return "0"
    if size >= 1000 or value == int(value):
        return f"{value:,.0f}"
    if size >= 100:
        return f"{value:,.1f}"
    return f"{value:.3f}" if size >= 1 else f"{value:.4g}"


def compact(value: float | None) -> str:
    """`940`, `12.3 k`, `6.30 M`: three digits, for tight places."""
    if value is None:
        return NOTHING
    for size, suffix in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= size:
            scaled = value / size
            return f"{scaled:.{2 if scaled < 10 else 1 if scaled < 100 else 0}f}{suffix}"
    return f"{value:,.0f}"


def byte_size(count: float) -> str:
    """`17 bytes`, `4.2 kB`, `512 MB` (powers of 1024, as file managers show them)."""
    if count < 1024:
        return f"{count:.0f} bytes"
    for suffix in ("kB", "MB", "GB"):
        count /= 1024
        if count < 1024 or suffix == "GB":
            break
    return f"{count:.1f} {suffix}" if count < 10 and count != int(count) else f"{count:,.0f} {suffix}"


def duration(seconds: float | None) -> str:
    """`4.2 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`."""
    if seconds is None:
        return NOTHING
    # Clocks of several machines may differ: what began before it was asked for took no time.
    seconds = max(seconds, 0.0)
    if 0 < seconds < 0.05:
        return "under 0.1 s"
    if seconds < 10:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    for large, small, names in ((_DAY, _HOUR, "dh"), (_HOUR, _MINUTE, ("h", "min")), (_MINUTE, 1, ("min", "s"))):
        if whole >= large:
            rest = (whole % large) // small
            return f"{whole // large:,} {names[0]}" + (f" {rest} {names[1]}" if rest else "")
    return f"{whole} s"


def rough(seconds: float) -> str:
    """A time that is estimated: `40 s`, `5 min`, `3 h`, `2 d`, in no more digits than it deserves."""
    for size, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= 1.5 * size:
            amount = seconds / size
            return f"{amount:.1f} {unit}" if amount < 3 and unit != "min" else f"{amount:.0f} {unit}"
    return f"{max(seconds, 1):.0f} s" if seconds < 10 else f"{round(seconds, -1):.0f} s"


def clock(seconds: float) -> str:
    """`0:07`, `3:20`, `1:02:03`, as players show time."""
    whole = round(seconds)
    hours, rest = divmod(whole, _HOUR)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


def ago(moment: datetime | None, now: datetime | None = None) -> str:
    """`just now`, `5 min ago`, `3 h ago`, `2 d ago`, or the date after a month."""
    if moment is None:
        return NOTHING
    seconds = ((now or datetime.now(UTC)) - moment).total_seconds()
    if seconds < 10:
        return "just now"
    for unit_seconds, limit, unit in ((1, _MINUTE, "s"), (_MINUTE, _HOUR, "min"), (_HOUR, _DAY, "h")):
        if seconds < limit:
            return f"{int(seconds // unit_seconds)} {unit} ago"
    return f"{int(seconds // _DAY)} d ago" if seconds < 30 * _DAY else f"{moment:%Y-%m-%d}"


def plural(count: int, one: str, many: str = "") -> str:
    """`1 take`, `1,000 takes`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def sentence(words: str) -> str:
    """The words with a capital first letter, and every other letter as it is: names, `UTC`."""
    return words[:1].upper() + words[1:]


FILTERS = {
    "number": number,
    "figure": figure,
    "likely_range": likely_range,
    "compact": compact,
    "byte_size": byte_size,
    "duration": duration,
    "rough": rough,
    "clock": clock,
    "ago": ago,
    "plural": plural,
    "sentence": sentence,
    "browser_name": browser_name,
}
