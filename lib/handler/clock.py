"""Points in time as text that sorts in time's own order, and new identifiers."""

from os import urandom
from time import gmtime, time_ns

from lib.handler.digest import sha256

_DAYS = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365)
_FIRST, _LAST = -62135596800, 253402300799  # 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z


def now() -> str:
    """Return this moment: UTC, microseconds, `Z`."""
    seconds, nanoseconds = divmod(time_ns(), 1_000_000_000)
    return _text(seconds, f"{nanoseconds // 1000:06}")


def new_id() -> str:
    """Return a random (version 4) UUID."""
    return _uuid(bytearray(urandom(16)), 4)


def id_of(*names: str) -> str:
    """Return the (version 8) UUID that these names, which have no NUL, always get."""
    return _uuid(bytearray(sha256("\0".join(names).encode("utf-8", "surrogatepass")).digest()[:16]), 8)


def _uuid(digits: "bytearray", version: int) -> str:
    digits[6] = digits[6] & 0x0F | version << 4
    digits[8] = digits[8] & 0x3F | 0x80
    text = digits.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def to_utc(text: str) -> "str | None":  # noqa: PLR0911 - one for each way to be wrong
    """Return an RFC 3339 date-time in the form of `now`, or None for what is not one or is finer than microseconds."""
    date, clock, rest = text[:11], text[11:19], text[19:]
    pattern = date[4:5] + date[7:8] + date[10:] + clock[2:3] + clock[5:6]
    fields = (date[:4], date[5:7], date[8:10], clock[:2], clock[3:5], clock[6:])
    if pattern.upper() != "--T::" or not all(field.isdigit() and field.isascii() for field in fields):
        return None
    year, month, day, hour, minute, second = [int(field) for field in fields]
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if not (
        len(clock) == 8
        and 1 <= month <= 12
        and 1 <= day <= _DAYS[month] - _DAYS[month - 1] + (leap and month == 2)
        and hour < 24
        and minute < 60
        and second <= 60
    ):
        return None
    fraction = ""
    if rest[:1] == ".":
        after = rest[1:].lstrip("0123456789")
        fraction, rest = rest[1 : len(rest) - len(after)], after
        if not fraction:
            return None
    fraction = fraction.rstrip("0")
    offset = _offset(rest)
    if offset is None or len(fraction) > 6:
        return None
    years = year - 1
    days = years * 365 + years // 4 - years // 100 + years // 400 + _DAYS[month - 1] + (leap and month > 2) + day - 1
    moment = _FIRST + days * 86400 + hour * 3600 + minute * 60 + min(second, 59) - offset
    if not _FIRST <= moment <= _LAST:
        return None
    utc = _text(moment, fraction.ljust(6, "0"))
    if second < 60:
        return utc
    # A leap second is the last of a month in UTC, wherever it was written down.
    return utc[:17] + "60" + utc[19:] if utc[11:19] == "23:59:59" and gmtime(moment + 1)[2] == 1 else None


def _offset(zone: str) -> "int | None":
    """Return the seconds a zone is ahead of UTC."""
    if zone in {"Z", "z"}:
        return 0
    hours, minutes = zone[1:3], zone[4:]
    if len(zone) != 6 or zone[0] not in "+-" or zone[3] != ":":
        return None
    if not (zone.isascii() and hours.isdigit() and minutes.isdigit() and hours < "24" and minutes < "60"):
        return None
    seconds = int(hours) * 3600 + int(minutes) * 60
    return -seconds if zone[0] == "-" else seconds


def _text(seconds: int, fraction: str) -> str:
    year, month, day, hour, minute, second = gmtime(seconds)[:6]
    return f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction}Z"
