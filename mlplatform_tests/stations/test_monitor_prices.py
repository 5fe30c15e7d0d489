"""The example's real prices: a champion of the base history ages over five quarters, and one retraining is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlplatform_tests.stations.monitored import later, open_world, records

ROOT = Path(__file__).parents[2]


def test_the_first_four_quarters_pass_and_the_fifth_asks_for_a_retraining(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    from examples.stock_prices.prices import BASE_DAYS, frame

    rows = frame()
    days = rows["trading_day"].unique()
    base = rows[(rows["trading_day"] >= days[BASE_DAYS - 250]) & (rows["trading_day"] < days[BASE_DAYS])]
    streamed = rows[(rows["trading_day"] >= days[BASE_DAYS]) & (rows["trading_day"] < days[BASE_DAYS + 5 * 63])]
    world = open_world(tmp_path, mlflow=True)
    world.deploy(base, rounds=300)
    world.load(records(streamed), shard="0")
    evaluations = world.monitor().run(later())
    r2 = [e.quality or 0.0 for e in evaluations]
    assert r2 == pytest.approx([0.88, 0.84, 0.77, 0.68, 0.57], abs=0.03)
    assert ["quality" in e.failed for e in evaluations] == [False, False, False, False, True]
    assert {e.judged_rows for e in evaluations} == {63 * 20}

    retrain = world.retrain()
    decided = retrain.decide(later())
    assert decided.request is not None
    assert (decided.request.evaluation_id, decided.request.checks) == (evaluations[4].id, ("quality",))
    assert retrain.decide(later()).request is None
    assert [r.id for r in retrain.pending()] == ["stock_prices/stock_prices/00000001"]
