"""The ledger's algebra on random dirt: every record is accounted for, and a table is the set of its distinct keys."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlplatform.core.loads.landing import filtered_line, landing_line
from mlplatform.core.loads.plan import LoadPlan
from mlplatform.core.tables.schema import Column, TableSchema
from mlplatform_tests.conformance.warehouses import JSONL, Case, ducklake_case

FIELD = st.sampled_from(
    [
        "A",
        "B",
        "1",
        "1.5",
        "-2",
        "",
        "x",
        "NaN",
        '"q"',
        '"a,b"',
        '"l\nl"',
        '5"',
        '"',
        '""',
        "é",
        "2020-01-01",
        " 3",
        "1e3",
    ]
)
RECORDS = st.lists(st.lists(FIELD, min_size=1, max_size=4).map(",".join), max_size=12)
BYTES = st.lists(st.binary(max_size=12), max_size=8)
NUMBER = count()
LEAN = settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
FULL = settings(LEAN, max_examples=100)


def at_length(test: Callable[..., None]) -> Callable[..., None]:
    """A hundred examples: minutes on a busy machine."""
    return pytest.mark.slow(pytest.mark.timeout(900)(test))


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return ducklake_case(tmp_path_factory.mktemp("algebra"))


def table(case: Case) -> TableSchema:
    made = TableSchema(
        f"t{next(NUMBER)}",
        (Column("name", nullable=False), Column("size", "bigint"), Column("price", "double", minimum=0)),
        unique_key=("name",),
    )
    case.warehouse.create(made)
    return made


def any_csv_is_accounted_for(case: Case, records: list[str], noise: list[bytes], end: str) -> None:
    schema = table(case)
    text = [r.encode() for r in records] + noise
    data = b"name,size,price" + end.encode() + end.encode().join(text)
    receipt = case.load(f"{schema.name}.csv", data, schema=schema)
    assert receipt.balanced()
    rows = case.rows(f"SELECT count(*) AS n, count(DISTINCT name) AS d FROM {schema.name}")
    assert rows == [(receipt.loaded, receipt.loaded)]
    assert len(case.reasons(receipt)) == receipt.quarantined
    if receipt.outcome == "loaded":
        assert all(raw in data and raw for _, _, raw in case.reasons(receipt))


def any_delivery_is_accounted_for(case: Case, payloads: list[bytes], names: list[int]) -> None:
    schema = table(case)
    good = [b'{"name":"n%d","size":%d}' % (n, i) for i, n in enumerate(names)]
    lines = [landing_line(f"{i:04d}", data) for i, data in enumerate([*good, *payloads], 1)]
    lines.append(filtered_line(f"{len(lines) + 1:04d}"))
    receipt = case.load(
        f"{schema.name}.jsonl", b"\n".join(lines), schema=schema, shard="stream/s/0", upto=f"{len(lines):04d}"
    )
    assert (receipt.balanced(), receipt.arrived, receipt.filtered) == (True, len(lines), 1)
    assert receipt.loaded == len(set(names))
    assert receipt.quarantined == len(payloads)


def overlapping_plans_in_any_order_leave_the_distinct_keys(case: Case, spans: list[tuple[int, int]]) -> None:
    schema = table(case)
    shard = "stream/s/0"
    case.warehouse.guard(schema.name, shard)
    plans = []
    for number, (last, length) in enumerate(spans):
        upto = last + length
        lines = [landing_line(f"{i:04d}", b'{"name":"k%d"}' % i) for i in range(last + 1, upto + 1)]
        info = case.store.put(f"{schema.name}/{number}.jsonl", b"\n".join(lines))
        plans.append((last, upto, info))
    loaded: set[int] = set()
    position = ""
    for last, upto, info in [*plans, *plans]:
        plan = LoadPlan(schema.name, shard, position, f"{upto:04d}", 0, info.key, info.etag, info.size_bytes, JSONL)
        if plan.upto <= position:
            continue
        receipt = case.warehouse.load(plan, schema, case.store)
        new = {i for i in range(last + 1, upto + 1) if f"{i:04d}" > position}
        assert (receipt.loaded, receipt.duplicates) == (len(new), upto - last - len(new))
        assert case.warehouse.load(plan, schema, case.store) == receipt
        loaded |= new
        position = plan.upto
    assert {row[0] for row in case.rows(f"SELECT name FROM {schema.name}")} == {f"k{i}" for i in loaded}
    assert case.count(schema.name) == len(loaded)


test_any_csv_is_accounted_for = LEAN(given(RECORDS, BYTES, st.sampled_from(["\n", "\r\n"]))(any_csv_is_accounted_for))
test_any_delivery_is_accounted_for = LEAN(
    given(BYTES, st.lists(st.integers(0, 5), max_size=10))(any_delivery_is_accounted_for)
)
test_overlapping_plans_in_any_order_leave_the_distinct_keys = LEAN(
    given(st.lists(st.tuples(st.integers(0, 8), st.integers(1, 6)), min_size=1, max_size=6))(
        overlapping_plans_in_any_order_leave_the_distinct_keys
    )
)

test_any_csv_is_accounted_for_at_length = at_length(
    FULL(given(RECORDS, BYTES, st.sampled_from(["\n", "\r\n"]))(any_csv_is_accounted_for))
)
test_any_delivery_is_accounted_for_at_length = at_length(
    FULL(given(BYTES, st.lists(st.integers(0, 5), max_size=10))(any_delivery_is_accounted_for))
)
test_overlapping_plans_in_any_order_leave_the_distinct_keys_at_length = at_length(
    FULL(
        given(st.lists(st.tuples(st.integers(0, 8), st.integers(1, 6)), min_size=1, max_size=6))(
            overlapping_plans_in_any_order_leave_the_distinct_keys
        )
    )
)


def test_rejected_records_are_cut_out_right_across_the_engine_s_buffers(case: Case, tmp_path: Path) -> None:
    """Byte positions hold over many parallel buffers, with quoted line ends and blank lines between."""
    schema = TableSchema("big", (Column("name"), Column("size", "bigint"), Column("price", "double", minimum=0)))
    case.warehouse.create(schema)
    path = tmp_path / "big.csv"
    bad = {}
    with path.open("wb") as file:
        file.write(b"name,size,price\n")
        for i in range(400_000):
            record = b'"n%d padded with text to make it long enough for many buffers, ""quoted""",%d,%d' % (i, i, i % 7)
            if i % 40_009 == 5:
                record = (b"r%d,%d,abc", b"r%d,%d,-1", b"r%d,%d.5,1", b"r%d,%d", b'"r\n%d",%d,x')[len(bad) % 5] % (i, i)
                bad[str(i + 1)] = record
            file.write(record + (b"\n\n" if i % 50_021 == 7 else b"\n"))
    receipt = case.load("big.csv", path, schema=schema)
    assert (receipt.arrived, receipt.quarantined, receipt.loaded) == (400_000, len(bad), 400_000 - len(bad))
    assert {offset: raw for offset, _, raw in case.reasons(receipt)} == bad
