"""Why a statement of the Data API failed: it tells a text where the driver tells an SQLSTATE."""

from __future__ import annotations

import re

_STATES = (
    (r"relation \".*\" does not exist", "42P01"),
    (r"column .* does not exist", "42703"),
    (r"permission denied|must be owner", "42501"),
    (r"password authentication failed|not authorized to|FATAL: .*(role|user) ", "28000"),
    (
        r"cancell?ed on user|cancell?ed by user|statement timeout|cancel(l?)ing statement|Query \(\d+\) cancelled",
        "57014",
    ),
    (r"deadlock detected", "40P01"),
    (r"could not serialize|Serializable isolation violation", "40001"),
    (r"(relation|schema|table|type) \".*\" already exists|duplicate key value", "42P07"),
    (r"terminating connection|connection .*(closed|reset|lost|broken|terminated)|(closed|broken) connection", "57P01"),
    (r"S3ServiceException|S3 prefix|unload destination|load into table|internal error", "XX000"),
    (r"(packet for query is too large|response exceeded size limit)", "54000"),
    (r"syntax error|does not exist|must appear in the GROUP BY|is not supported|not supported on Redshift", "42601"),
)
"""By the first that is found in the text. What else fails is taken for a value that does not fit."""

_OTHER = "22000"
_KINDS = tuple((re.compile(pattern, re.I | re.S), state) for pattern, state in _STATES)

LOST, TOO_LARGE = "57P01", "54000"


class StatementFailedError(Exception):
    """A statement that failed, told as the driver would: C its SQLSTATE, as far as the text says, M its message."""

    def __init__(self, text: str) -> None:
        message = re.sub(r"^ERROR:\s*|\s*Position: \d+\s*$", "", text)
        state = next((state for pattern, state in _KINDS if pattern.search(message)), _OTHER)
        super().__init__({"C": state, "M": message})
        self.state = state
