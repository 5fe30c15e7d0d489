"""Gate and registry on real prices: first, better, worse, equal, itself; and no way past the verdict."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from mlplatform.core.packages.manifest import read_package
from mlplatform.errors import GateError
from mlplatform.ports.tracking import TrackedRun
from mlplatform.stations.feature_snapshot import FeatureSnapshot, read_snapshot
from mlplatform.stations.snapshot_parts import read_parts
from mlplatform.stations.training import Trained
from mlplatform.stations.verdict import Verdict, require_pass, store_verdict
from mlplatform_tests.packages import make_package
from mlplatform_tests.stations.line import FEATURES, MODEL, START, Line

FIRST_RUN = "first"
NAME = "stock_prices.stock_model"
State = tuple[Line, FeatureSnapshot, Trained]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> State:
    """A champion of the base history is deployed; five quarters later a new window is unloaded and trained on."""
    line = Line(tmp_path_factory.mktemp("gate"))
    line.load_days(7419, 7679)
    before = line.features.build(START, run_id=FIRST_RUN)
    first = line.train(before)
    verdict = line.gate.judge(first.candidate, before)
    assert (verdict.outcome, verdict.champion_digest) == ("first", None)
    line.deploy(line.registry.register(first.candidate.digest))
    line.load_days(7679, 7994)
    snapshot = line.build()
    return line, snapshot, line.train(snapshot)


@pytest.fixture
def state(prepared: State) -> Iterator[State]:
    yield prepared
    prepared[0].model_spec, prepared[0].features_spec = dict(MODEL), dict(FEATURES)


def _train(line: Line, snapshot: FeatureSnapshot, **hyperparameters: float) -> Trained:
    line.model_spec["hyperparameters"] = {**MODEL["hyperparameters"], **hyperparameters}
    return line.train(snapshot)


def test_a_challenger_of_newer_days_is_better_on_days_neither_saw(state: State) -> None:
    line, snapshot, trained = state
    verdict = line.gate.judge(trained.candidate, snapshot)
    assert (verdict.passed, verdict.outcome, verdict.champion_version) == (True, "better", 1)
    comparison = verdict.figures["comparison"]
    assert comparison["challenger"] > 0.9
    assert comparison["champion"] < 0.75
    assert 0 < comparison["low"] < comparison["improvement"] < comparison["high"]
    assert comparison["rows"] == snapshot.rows["test"]
    assert comparison["groups"] == snapshot.rows["test"] // 20
    assert verdict.excluded == 0
    assert verdict.note == "None of these keys is among the champion's training rows."
    assert {s["value"] for s in verdict.figures["segments"]} == {
        "Information Technology", "Financials", "Energy", "Health Care", "Consumer Staples", "Consumer Discretionary",
        "Industrials",
    }  # fmt: skip
    assert line.gate.verdict(trained.candidate.digest) == verdict
    json.dumps(verdict.to_json(), allow_nan=False)
    assert verdict.check().passed
    assert verdict.check().metadata["improvement"] == comparison["improvement"]


def test_a_worse_challenger_fails_and_is_not_registered(state: State) -> None:
    line, snapshot, _ = state
    line.model_spec["gate"] = {**MODEL["gate"], "threshold": -10}
    worse = _train(line, snapshot, num_round=1, eta=0.01)
    verdict = line.gate.judge(worse.candidate, snapshot)
    assert (verdict.passed, verdict.outcome) == (False, "not_better")
    assert verdict.figures["comparison"]["high"] < 0
    with pytest.raises(GateError, match=r"did not pass the gate: Not better: r2 "):
        line.registry.register(worse.candidate.digest)


def test_a_challenger_below_the_threshold_fails_even_where_the_champion_is_worse(state: State) -> None:
    line, snapshot, trained = state
    line.model_spec["gate"] = {**MODEL["gate"], "threshold": 0.999}
    verdict = line.gate.judge(trained.candidate, snapshot)
    assert (verdict.passed, verdict.outcome) == (False, "below_threshold")
    assert verdict.figures["comparison"]["low"] > 0


def test_a_better_challenger_of_an_earlier_past_that_was_asked_for_does_not_pass(tmp_path: Path) -> None:
    line = Line(tmp_path)
    line.load_days(7419, 7994)
    newest = line.build()
    line.model_spec["gate"] = {**MODEL["gate"], "threshold": -10}
    weak = _train(line, newest, num_round=2)
    line.gate.judge(weak.candidate, newest)
    line.deploy(line.registry.register(weak.candidate.digest))
    before = line.build(as_of="2020-06-23")
    better = _train(line, before)
    verdict = line.gate.judge(better.candidate, before)
    assert verdict.figures["comparison"]["low"] > 0
    assert (verdict.passed, verdict.outcome) == (False, "older")
    assert "asked for as of 2020-06-23, end at 2020-06-23, and the champion's at " in verdict.reason


def test_an_equal_challenger_does_not_replace_the_champion(state: State) -> None:
    line, _, _ = state
    before = line.build(as_of="2020-06-23")
    equal = line.train(before, code_version="d" * 40)
    verdict = line.gate.judge(equal.candidate, before)
    assert (verdict.passed, verdict.outcome) == (False, "not_better")
    assert verdict.figures["comparison"]["improvement"] == 0


def test_a_hardly_different_challenger_is_undecided_and_the_champion_stays(state: State) -> None:
    line, _, _ = state
    before = line.build(as_of="2020-06-23")
    similar = _train(line, before, max_depth=4)
    verdict = line.gate.judge(similar.candidate, before)
    assert (verdict.passed, verdict.outcome) == (False, "undecided")
    assert "more held-out values of trading_day needed" in verdict.reason
    assert verdict.reason.endswith("The champion stays.")
    assert verdict.figures["comparison"]["groups_needed"] > 0


def test_the_champion_is_never_compared_with_itself(state: State) -> None:
    line, _, _ = state
    champion = line.registry.champion()
    assert champion is not None
    before = read_snapshot(line.store, f"unload/stock_prices/stock_features/runs/{FIRST_RUN}.json")
    assert before is not None
    again = line.train(before)
    assert again.candidate.digest == champion.digest
    verdict = line.gate.judge(again.candidate, before)
    assert (verdict.passed, verdict.outcome, verdict.figures["comparison"]) == (True, "first", None)
    assert line.registry.register_latest().version == champion.version


@pytest.mark.slow
def test_under_another_salt_only_rows_behind_the_champion_s_window_are_compared(state: State) -> None:
    line, _, _ = state
    line.features_spec["split"] = {**FEATURES["split"], "salt": "another"}
    snapshot = line.build()
    verdict = line.gate.judge(line.train(snapshot).candidate, snapshot)
    assert verdict.note.startswith("The champion was split by another rule: compared on rows behind 2020-06-23 only")
    assert verdict.excluded == 0  # five quarters later none of the window's days is the champion's
    overlapping = line.build(as_of="2020-09-30")
    verdict = line.gate.judge(line.train(overlapping).candidate, overlapping)
    assert 0 < verdict.excluded < overlapping.rows["test"]
    assert verdict.figures["comparison"]["rows"] == overlapping.rows["test"] - verdict.excluded
    none = line.build(as_of="2020-06-23")
    verdict = line.gate.judge(line.train(none).candidate, none)
    assert (verdict.passed, verdict.outcome) == (False, "no_common_rows")


def test_held_out_rows_that_the_champion_was_trained_on_after_all_are_left_out(state: State) -> None:
    line, snapshot, trained = state
    champion = line.registry.champion()
    assert champion is not None
    manifest = read_package(line.tracking.package(NAME, champion.digest))
    part = next(part for channel, part in read_parts(line.store, manifest.snapshot) if channel == "train")
    about = str(manifest.snapshot["manifest"])
    kept = {}
    for key in (part.key, about):
        with line.store.open(key) as stream:
            kept[key] = stream.read()
    held_out = line.features.read(snapshot, "test")
    file = io.BytesIO()
    pq.write_table(held_out.slice(0, 20), file)
    line.store.put(part.key, file.getvalue())
    now_holds = hashlib.sha256(file.getvalue()).hexdigest()
    line.store.put(about, kept[about].replace(part.sha256.encode(), now_holds.encode()))
    try:
        verdict = line.gate.judge(trained.candidate, snapshot)
    finally:
        for key, data in kept.items():
            line.store.put(key, data)
    assert verdict.excluded == 20
    assert verdict.figures["comparison"]["rows"] == held_out.num_rows - 20
    assert "20 held-out rows have keys the champion was trained on" in verdict.note


def _by_digest(line: Line, digest: str) -> object:
    return line.registry.register(digest)


def _latest(line: Line, digest: str) -> object:
    line.items.put("candidates", NAME, {"digest": digest})
    return line.registry.register_latest()


def _past_the_station(line: Line, digest: str) -> object:
    verdict = line.gate.verdict(digest)
    return line.tracking.register(NAME, digest, verdict={} if verdict is None else verdict.to_json())


@pytest.mark.parametrize("register", [_by_digest, _latest, _past_the_station])
def test_a_candidate_without_a_pass_is_not_registered_however_it_is_asked(
    state: State, register: Callable[[Line, str], object]
) -> None:
    line, snapshot, _ = state
    unjudged = _train(line, snapshot, num_round=3).candidate.digest
    line.items.delete("verdicts", unjudged)
    with pytest.raises(GateError):
        register(line, unjudged)
    line.model_spec["gate"] = {**MODEL["gate"], "threshold": 0.9999}
    failed = line.gate.judge(line.train(snapshot).candidate, snapshot)
    assert not failed.passed
    with pytest.raises(GateError):
        register(line, failed.digest)
    assert [v.version for v in line.registry.versions()] == [1]


def test_a_pass_against_another_champion_than_the_present_one_does_not_count(state: State) -> None:
    line, snapshot, trained = state
    verdict = line.gate.judge(trained.candidate, snapshot)
    assert verdict.passed
    line.items.put("verdicts", verdict.digest, replace(verdict, champion_digest="f" * 64).to_json())
    with pytest.raises(
        GateError, match=r"was judged against champion ffffffffffff; now it is [0-9a-f]{12}\. Run the gate"
    ):
        line.registry.register(verdict.digest)
    assert [v.version for v in line.registry.versions()] == [1]


def test_a_registered_version_that_fails_against_a_later_champion_is_not_given_out_again(tmp_path: Path) -> None:
    """After a roll-back, say: what is registered must pass against what serves now."""
    line = Line(tmp_path)
    digests = []
    for seed in (1, 2):
        digest = make_package(tmp_path / str(seed), seed=seed, model=NAME, runtime="xgboost")
        run = TrackedRun("stock_prices", f"job-{seed}", {}, {}, {}, tmp_path / str(seed))
        line.tracking.stage(run, model=NAME, digest=digest)
        digests.append(digest)
    passed = Verdict(NAME, digests[0], None, None, "s", "now", True, "first", "good", {})
    store_verdict(line.items, passed)
    first = line.registry.register(digests[0])
    assert line.registry.register(digests[0]) == first
    store_verdict(line.items, replace(passed, digest=digests[1]))
    line.deploy(line.registry.register(digests[1]))
    with pytest.raises(GateError, match="was judged against champion none; now it is"):
        line.registry.register(digests[0])
    assert line.registry.register(digests[1]).version == 2


def test_an_unknown_candidate_has_no_verdict(state: State) -> None:
    line, _, _ = state
    with pytest.raises(GateError, match=r"Candidate ffffffffffff… of 'stock_prices.stock_model' has no verdict"):
        require_pass(line.items, model=NAME, digest="f" * 64, champion_digest=None)


def test_before_the_first_candidate_there_is_nothing_to_register(tmp_path: Path) -> None:
    line = Line(tmp_path)
    with pytest.raises(GateError, match=r"No candidate of 'stock_prices.stock_model' was judged yet"):
        line.registry.register_latest()


@pytest.mark.slow
def test_a_better_challenger_becomes_version_two_once(tmp_path: Path) -> None:
    """The refresh's line from table to version, twice; what ran is run again and nothing is doubled."""
    line = Line(tmp_path)
    line.load_days(7419, 7679)
    for last, version in ((7994, 1), (8309, 2)):
        snapshot = line.build()
        for _ in range(2):
            trained = line.train(snapshot)
            assert line.gate.judge(trained.candidate, snapshot).passed
            registered = line.registry.register_latest()
            assert registered.version == version
        if version == 2:
            assert [v.aliases for v in line.registry.versions()] == [(), ("challenger",)]
        line.deploy(registered)
        champion = line.registry.champion()
        assert champion is not None
        assert champion.version == version
        line.load_days(7679 if version == 1 else 7994, last)
    assert [v.version for v in line.registry.versions()] == [1, 2]
    assert line.registry.versions()[1].tags["verdict"] == "better"
