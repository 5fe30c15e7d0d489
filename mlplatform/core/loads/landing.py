"""Landing objects: what delivery writes, and what their names say.

A landing object holds the records of one shard in ``(last, upto]``, one JSON line a record, and its key says so:
``<prefix><shard>/<group>/<group>/<last>-<upto>.jsonl``. So the loader plans from a listing alone. Sequences are decimal
digits of one width within a shard (SQLite's 20, Kinesis's 56): then keys sort like the sequences. The groups are digits
of `last`; they keep a folder below some ten thousand entries, so that a directory is listed from any position at once.

A line is the record's own JSON object with `_sequence` spliced in front (``<sequence>.<number>`` for each of several
records that were put as one, and share its sequence: a range holds all of them or none), or one of these, for what has no such form:

- ``{"_sequence": …, "_unparsed": <base64>, "_error": …}``: no JSON object, or one that uses a reserved field, or one the
  transformation failed on; the record's own bytes, for the quarantine. `_error` says why.
- ``{"_sequence": …, "_filtered": true}``: the transformation left the record out; the loader counts it.
- ``{"_sequence": "<last>+lost", "_unparsed": "", "_error": …}``: retention took records behind `last` before they were
  delivered. No record itself, but evidence that belongs in the quarantine: the error says how many are gone.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass

import msgspec

LOST = "+lost"
"""Ends the sequence of the line that stands for records which retention took."""
RESERVED = ("_sequence", "_unparsed", "_error", "_filtered")
"""Fields of a landing line that are delivery's; a record that brings one is not spliced."""

_KEY = re.compile(r"(?P<shard>[^/]+)/[0-9]*/[0-9]*/(?P<last>[0-9]+)-(?P<upto>[0-9]+)\.jsonl")
_SEQUENCE = re.compile(r"[0-9]+")
_BREAKS = bytes.maketrans(b"\r\n", b"  ")


@dataclass(frozen=True)
class LandingRange:
    """What a landing object holds: the records of `shard` behind `last` ("" = from the first) up to `upto`, inclusive."""

    shard: str
    last: str
    upto: str


def landing_key(prefix: str, shard: str, last: str, upto: str) -> str:
    """The key of the landing object of ``(last, upto]``. Raises ValueError for sequences that are not digits."""
    if not _SEQUENCE.fullmatch(upto) or (last and not _SEQUENCE.fullmatch(last)):
        raise ValueError(f"sequences of shard '{shard}' are not digits: '{last}', '{upto}'")
    return f"{landing_position(prefix, shard, last or '0' * len(upto))}{upto}.jsonl"


def landing_position(prefix: str, shard: str, last: str) -> str:
    """What to list behind (`ObjectStore.list(after=)`) to see exactly the ranges that start at `last` or later."""
    return f"{prefix}{shard}/{last[:-8]}/{last[-8:-4]}/{last}-" if last else f"{prefix}{shard}/"


def claim_key(prefix: str, shard: str, last: str) -> str:
    """Where a delivery writes the end of the range that starts at `last` before it writes the range; outside `prefix`."""
    return f"_delivery/{prefix}{shard}/{last or '0'}"


def parse_landing_key(prefix: str, key: str) -> LandingRange | None:
    """The range that `key` names, or None where it is no landing object under `prefix`."""
    match = _KEY.fullmatch(key.removeprefix(prefix)) if key.startswith(prefix) else None
    if match is None or int(match["last"]) >= int(match["upto"]):
        return None
    last = match["last"] if int(match["last"]) else ""
    found = LandingRange(match["shard"], last, match["upto"])
    return found if landing_key(prefix, found.shard, last, found.upto) == key else None


def landing_line(sequence: str, data: bytes) -> bytes:
    """One record's line, without the line break."""
    reason = unfit(data)
    return unparsed_line(sequence, data, reason) if reason else spliced_line(sequence, data)


def unfit(data: bytes) -> str:
    """Why `data` cannot be spliced; "" for a JSON object (RFC 8259, UTF-8) without reserved fields."""
    try:
        payload = msgspec.json.decode(data)
        data.decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return f"no JSON: {error}"
    if not isinstance(payload, dict):
        return f"expected a JSON object, found {_kind(payload)}"
    taken = [name for name in RESERVED if name in payload]
    return f"field '{taken[0]}' is reserved for delivery; rename it" if taken else ""


def spliced_line(sequence: str, data: bytes) -> bytes:
    """The line of a record that is not `unfit`."""
    body = one_line(data)[1:].lstrip()
    return b'{"_sequence":"%b"%b%b' % (sequence.encode(), b"" if body == b"}" else b",", body)


def one_line(data: bytes) -> bytes:
    """A record that is not `unfit`, without a line break."""
    # Inside a JSON string a line break is escaped, so that a raw one only stands between tokens.
    return data.strip().translate(_BREAKS)


def unparsed_line(sequence: str, data: bytes, error: str) -> bytes:
    """The line of a record that cannot be spliced: its bytes, and why."""
    return msgspec.json.encode({"_sequence": sequence, "_unparsed": base64.b64encode(data).decode(), "_error": error})


def filtered_line(sequence: str) -> bytes:
    """The line of a record that the transformation left out."""
    return b'{"_sequence":"%b","_filtered":true}' % sequence.encode()


def lost_line(last: str, error: str) -> bytes:
    """The line that stands for the records behind `last` that retention took before delivery; `error` counts them."""
    return unparsed_line(f"{last or '0'}{LOST}", b"", error)


def _kind(payload: object) -> str:
    names = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(payload), "a number")
