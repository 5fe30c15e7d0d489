"""Batch scoring on both back ends: every row its answer under its key, or nothing; once, whoever asks again."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlplatform.adapters.runtimes import PackageRuntimes
from mlplatform.errors import DataError, NotFoundError, SpecError, StateError
from mlplatform.ports.object_store import ObjectStore
from mlplatform.ports.tracking import TrackedRun
from mlplatform.ports.transform import Transformed, TransformSpec
from mlplatform.spec.model import ModelSpec
from mlplatform.stations.scoring import Scoring
from mlplatform_tests.conformance.computes import backend, sagemaker_server, store
from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.conformance.transforms import transforms_of
from mlplatform_tests.packages import make_package
from mlplatform_tests.stations.line import ENDPOINT, MODEL, START, SYSTEM, Line

__all__ = ["backend", "ministack_server", "sagemaker_server", "store"]

NAME = "stock_prices.stock_model"
KEYS = ("ticker_symbol", "trading_day")
QUERY = "SELECT ticker_symbol, sector, change, price, trading_day FROM stock_table;"


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Line:
    """Some days of prices, and a model of two versions, the first of which is deployed; the tests only read it."""
    root = tmp_path_factory.mktemp("scored")
    found = Line(root / "line")
    found.load_days(7600, 7604)
    for seed, task in ((1, "regression"), (2, "multiclass")):
        package = root / f"package-{seed}"
        digest = make_package(package, seed=seed, model=NAME, task=task)  # type: ignore[arg-type]
        found.tracking.stage(TrackedRun(SYSTEM, f"run-{seed}", {}, {}, {}, package), model=NAME, digest=digest)
        version = found.tracking.register(NAME, digest, verdict={"passed": True, "digest": digest, "model": NAME})
        if seed == 1:
            found.deploy(version)
    return found


@pytest.fixture
def scoring(line: Line, backend: str, store: ObjectStore, tmp_path: Path) -> Scoring:
    return scoring_of(line, backend, store, tmp_path)


def scoring_of(line: Line, backend: str, store: ObjectStore, tmp_path: Path, **more: Any) -> Scoring:
    return Scoring(
        more.pop("transforms", None) or transforms_of(backend, tmp_path, store),
        line.tracking,
        line.endpoints,
        store,
        line.warehouse,
        ModelSpec.model_validate(MODEL),
        system=SYSTEM,
        **{"query": QUERY, "unique_key": KEYS, "endpoint": ENDPOINT, **more},
    )


def scores(store: ObjectStore, prefix: str) -> pa.Table:
    tables = []
    for info in store.list(prefix):
        with store.open(info.key) as stream:
            tables.append(pq.read_table(io.BytesIO(stream.read())))
    return pa.concat_tables(tables)


def test_every_row_has_the_answer_of_the_model_that_serves_under_its_key(
    scoring: Scoring, line: Line, store: ObjectStore
) -> None:
    lines: list[str] = []
    done = scoring.score(START, where="ticker_symbol IN ('AAPL', 'JPM', 'XOM')", on_log=lines.append)
    assert lines
    found = scores(store, done.prefix)
    assert found.column_names == [*KEYS, "prediction", "flags", "model_version", "digest"]
    rows = line.warehouse.query(f"{QUERY[:-1]} WHERE ticker_symbol IN ('AAPL', 'JPM', 'XOM') ORDER BY 1, 5")
    assert (done.rows, done.version, done.keys) == (rows.num_rows, 1, KEYS)
    assert rows.num_rows >= 12
    assert found.select(KEYS).to_pylist() == rows.select(KEYS).to_pylist()
    model = PackageRuntimes().load(line.tracking.package(NAME, done.digest))
    expected = [
        answer.value for answer in model.predict_rows(rows.select(["ticker_symbol", "sector", "change"]).to_pylist())
    ]
    assert found.column("prediction").to_pylist() == pytest.approx(expected)
    left = sorted(info.key for info in store.list(f"scoring/{SYSTEM}/"))
    assert left == [f"scoring/{SYSTEM}/stock_model/{done.id}/done.json"]


def test_the_same_rows_are_not_scored_again_by_the_same_version(scoring: Scoring, store: ObjectStore) -> None:
    first = scoring.score(START, where="ticker_symbol = 'AAPL'")
    lines: list[str] = []
    assert scoring.score(START, where="ticker_symbol IN ('AAPL')", on_log=lines.append) == first
    assert lines == []


def test_resume_after_what_a_transform_left_is_gone_does_another(scoring: Scoring, store: ObjectStore) -> None:
    first = scoring.score(START, where="ticker_symbol = 'AAPL'")
    store.delete(f"scoring/{SYSTEM}/stock_model/{first.id}/done.json")
    again = scoring.score(START, where="ticker_symbol = 'AAPL'")
    assert (again.id, again.rows) == (first.id, first.rows)
    assert (first.transform[-3:], again.transform[-3:]) == ("-s1", "-s2")


def test_a_version_by_number_answers_with_its_classes(scoring: Scoring, store: ObjectStore) -> None:
    done = scoring.score(START, where="ticker_symbol = 'AAPL'", version=2)
    found = scores(store, done.prefix).to_pylist()
    names = ("high", "low", "middle")
    assert [sum(row[f"probability_{name}"] for name in names) for row in found] == pytest.approx([1.0] * len(found))
    assert {row["prediction"] for row in found} <= set(names)
    assert {row["model_version"] for row in found} == {2}


def test_after_a_row_that_did_not_fit_another_attempt_is_made_under_another_name(
    scoring: Scoring, backend: str, store: ObjectStore
) -> None:
    names = []
    for _ in range(2):
        with pytest.raises(DataError, match=r"Row 1, field 'sector'") as raised:
            scoring.score(START, where="sector NOT IN ('Information Technology', 'Financials', 'Energy')")
        names.append(str(raised.value).split("'")[1])
    assert [name.rpartition("-")[2] for name in names] == (["s1", "s1"] if backend == "subprocess" else ["s1", "s2"])
    assert list(store.list("scores/")) == []
    assert list(store.list(f"scoring/{SYSTEM}/stock_model/builds/")) == []


def test_rows_that_share_a_key_are_refused_before_anything_is_asked(scoring: Scoring, store: ObjectStore) -> None:
    with pytest.raises(DataError, match=r"Several rows to score have the same key \(ticker_symbol\)"):
        scoring.score(START, ["ticker_symbol"])
    assert list(store.list("scoring/")) == []


@pytest.mark.parametrize("backend", ["subprocess"], indirect=True)
def test_what_cannot_be_scored_says_what_to_name(
    scoring: Scoring, line: Line, backend: str, store: ObjectStore, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="There is no row to score"):
        scoring.score(START, where="ticker_symbol = 'none'")
    with pytest.raises(NotFoundError, match=r"has no version 7; it has: 1, 2"):
        scoring.score(START, version=7)
    with pytest.raises(DataError, match="has no column 'day_of_trade'; it has: ticker_symbol, sector"):
        scoring.score(START, ["day_of_trade"])
    with pytest.raises(SpecError, match="stored under a key; found: none"):
        scoring_of(line, backend, store, tmp_path, unique_key=()).score(START)
    with pytest.raises(SpecError, match="Key 'ticker_symbol' is personal"):
        scoring_of(line, backend, store, tmp_path, personal=frozenset({"ticker_symbol"})).score(START)
    with pytest.raises(NotFoundError, match="has no champion to score with"):
        scoring_of(line, backend, store, tmp_path, endpoint=None).score(START)


@pytest.mark.parametrize("backend", ["subprocess"], indirect=True)
def test_answers_that_do_not_match_the_rows_are_refused_and_nothing_is_stored(
    line: Line, backend: str, store: ObjectStore, tmp_path: Path
) -> None:
    local = transforms_of(backend, tmp_path, store)

    class Losing:
        """Loses the last answer of each object."""

        shared = False

        def run(self, transform: TransformSpec, *, on_log: Callable[[str], None] | None = None) -> Transformed:
            done = local.run(transform, on_log=on_log)
            for info in list(store.list(transform.output_prefix)):
                with store.open(info.key) as stream:
                    lines = stream.read().splitlines(keepends=True)
                store.put(info.key, b"".join(lines[:-1]))
            return done

        def failed(self, name: str) -> bool:
            return local.failed(name)

    found = scoring_of(line, backend, store, tmp_path, transforms=Losing())
    with pytest.raises(StateError, match=r"Answers and rows do not match.*it has 3 answers to 4 rows"):
        found.score(START, where="ticker_symbol = 'AAPL'")
    assert list(store.list("scores/")) == []
