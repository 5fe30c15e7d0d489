"""Whether an object only grew: told from its first records' bytes, whatever line ends and blanks lie between."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlplatform.adapters.warehouse.staging.appended import begins_with
from mlplatform.core.loads.plan import CsvFormat

DIALECT = CsvFormat()


def told(folder: Path, old: bytes, new: bytes, records: int, dialect: CsvFormat | None = DIALECT) -> bool:
    path = folder / "object"
    path.write_bytes(new)
    return begins_with(path, dialect, records=records, sha256=hashlib.sha256(old).hexdigest())


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\n\n", b"\r\n \t\n"])
@pytest.mark.parametrize("records", [0, 1, 2])
def test_an_object_that_grew_begins_with_what_it_was(tmp_path: Path, end: bytes, records: int) -> None:
    old = b"a,b" + b"".join(b'\r\n"x\n%d",1' % i for i in range(records)) + end
    assert told(tmp_path, old, old + (b"" if end else b"\n") + b"y,2\n", records)
    assert told(tmp_path, old, old, records)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"a\n1\n2\n", b"a\n1\n3\n4\n"),
        (b"a\n1\n2", b"a\n1\n25\n4\n"),
        (b"a\n1\n2\n", b"a\n1\n"),
        (b"a\n1\n2\n", b"b\n1\n2\n3\n"),
        (b"a\n1\n2\n", b"a\r\n1\r\n2\r\n3\r\n"),
        (b"a\n1\n2\n", b""),
    ],
)
def test_an_object_whose_first_records_changed_does_not(tmp_path: Path, old: bytes, new: bytes) -> None:
    assert not told(tmp_path, old, new, 2)


LINES = st.lists(st.sampled_from([b'{"a":1}', b'{"a":"x"}', b"", b"  ", b"nonsense"]), max_size=6)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(LINES, LINES, st.sampled_from([b"\n", b"\r\n"]))
def test_json_lines_that_grew_begin_with_what_they_were(
    tmp_path: Path, old: list[bytes], added: list[bytes], end: bytes
) -> None:
    before = b"".join(line + end for line in old)
    records = sum(1 for line in old if line.strip())
    assert told(tmp_path, before, before + b"".join(line + end for line in added), records, None)
    if records:
        changed = before.replace(b"n", b"m").replace(b"a", b"b")
        assert not told(tmp_path, before, changed, records, None)
