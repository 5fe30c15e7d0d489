"""`results.json`: kept row by row, so that a run can be broken off; and what is rendered from it."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest

import benchmarks.peers as peers_package
from benchmarks.catalogue import ALL, select
from benchmarks.machine import peers
from benchmarks.plots import bars, margin
from benchmarks.render import figure, render, table
from benchmarks.results import Results
from benchmarks.rows import Bar, Row, Series, row

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def fast(name: str = "serving.bentoml.c1.rps", *, ours: float = 50.0) -> Row:
    bar = Bar("ours / peer", "least", 10)
    return row(name, "One row", "1/s", Series.of([ours]), Series.of([2.0]), peer_name="BentoML", bar=bar)


def filled() -> Results:
    results = Results({"processor": "Some CPU", "cores": "2"})
    results.put([fast()], benchmark="serving.bentoml", commit="abc", versions={"duckdb": "1.5.5"}, now=NOW)
    slow = row(
        "drift.bare",
        "Verdict",
        "s",
        Series.of([3.0]),
        Series.of([1.0]),
        peer_name="bare",
        bar=Bar("ours / peer", "most", 1.5),
    )
    results.put([slow], benchmark="drift.bare", commit="abc", now=NOW)
    return results


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    results = filled()
    results.write(tmp_path / "results.json")
    assert Results.read(tmp_path / "results.json") == Results(
        results.machine, results.versions, dict(sorted(results.rows.items()))
    )


def test_figures_of_another_machine_are_told_apart() -> None:
    results = filled()
    assert not results.elsewhere({"processor": "Some CPU", "cores": "2", "commit": "def"})
    assert results.elsewhere({"processor": "Some CPU", "cores": "16"})
    assert not Results().elsewhere({"processor": "Some CPU", "cores": "16"})


def test_the_peers_versions_are_those_of_their_locks() -> None:
    found = peers()
    assert sorted(found) == [f"{n} (peer)" for n in ("bentoml", "evidently", "mlflow", "mlserver", "nannyml", "ray")]
    lock = Path(peers_package.__path__[0]) / "bentoml" / "requirements.lock"
    assert f"bentoml=={found['bentoml (peer)']} " in lock.read_text()


def test_a_row_says_when_and_at_which_commit_it_was_measured() -> None:
    found = filled().rows["drift.bare"]
    assert (found.date, found.commit) == ("2026-01-02T03:04:05+00:00", "abc")


def test_a_benchmark_replaces_its_own_rows_and_no_others() -> None:
    results = filled()
    results.put([fast("serving.bentoml.c16.rps")], benchmark="serving.bentoml", now=NOW)
    assert sorted(results.rows) == ["drift.bare", "serving.bentoml.c16.rps"]


def test_a_benchmark_whose_name_begins_alike_is_another() -> None:
    results = filled()
    results.put([], benchmark="serving.bento", now=NOW)
    results.put([], benchmark="drift.bar", now=NOW)
    assert sorted(results.rows) == ["drift.bare", "serving.bentoml.c1.rps"]


def test_what_has_no_result_of_this_commit_is_missing() -> None:
    results = filled()
    assert results.has("drift.bare", commit="abc")
    assert not results.has("drift.bare", commit="abd")
    assert not results.has("drift.evidently", commit="abc")


def test_results_of_another_format_are_refused(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(json.dumps({"format": 99, "rows": []}))
    with pytest.raises(ValueError, match="has format 99, expected 1"):
        Results.read(tmp_path / "results.json")


def test_no_file_is_no_results(tmp_path: Path) -> None:
    assert Results.read(tmp_path / "results.json") == Results()


def test_the_page_shows_figures_ratios_and_what_was_missed(tmp_path: Path) -> None:
    render(filled(), tmp_path)
    page = (tmp_path / "benchmarks.md").read_text()
    assert "**1 bars hold, 1 is missed.**" in page
    assert "- **drift.bare**: Verdict. ours / peer ≤ 1.5 was promised, 3 measured." in page
    assert "| `serving.bentoml.c1.rps` One row | 50 1/s | BentoML: 2 1/s | 25 | ours / peer ≥ 10: holds | 1 |" in page
    assert "duckdb 1.5.5" in page
    for image in re.findall(r"\(images/(.*?)\)", page):
        assert (tmp_path / "images" / image).exists()


def test_every_bar_of_a_plot_is_an_element_with_its_value() -> None:
    picture = ElementTree.fromstring(bars("Serving", [fast(), fast("serving.mlflow.c1.rps", ours=10.0)]))  # noqa: S314 - ours
    texts = ["".join(t.itertext()) for t in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert "2.5" in texts
    assert "0.5" in texts
    colours = [r.get("fill") for r in picture.iter("{http://www.w3.org/2000/svg}rect")]
    assert colours == ["white", "#2a7f62", "#c0392b"]


@pytest.mark.parametrize(
    ("bar", "ours", "peer", "expected"),
    [
        (Bar("ours / peer", "least", 10), 50.0, 1.0, 5.0),
        (Bar("ours / peer", "most", 1.5), 3.0, 1.0, 0.5),
        (Bar("peer / ours", "least", 30), 1.0, 60.0, 2.0),
        (Bar("ours", "most", 1024), 512.0, None, 2.0),
    ],
)
def test_a_margin_above_one_is_better_than_promised(bar: Bar, ours: float, peer: float | None, expected: float) -> None:
    made = row("a", "t", "s", Series.of([ours]), None if peer is None else Series.of([peer]), bar=bar)
    assert margin(made) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("value", "text"),
    [(17160.4, "17,160"), (1.5549, "1.55"), (0.0853, "0.0853"), (0.0, "0"), (999.6, "1000"), (12, "12")],
)
def test_figures_have_three_digits_that_count(value: float, text: str) -> None:
    assert figure(value) == text


def test_a_terminal_shows_what_holds() -> None:
    shown = re.sub(r"\s+", " ", table([fast()])).strip()
    assert shown == "holds serving.bentoml.c1.rps 50 1/s BentoML: 2 ratio 25 (ours / peer ≥ 10)"


def test_benchmarks_are_chosen_by_id_or_by_family() -> None:
    assert [b.id for b in select(["serving.mlflow"], full=False)] == ["serving.mlflow"]
    assert {b.id.partition(".")[0] for b in select(["drift"], full=False)} == {"drift"}
    with pytest.raises(ValueError, match="no benchmark 'servings'"):
        select(["servings"], full=False)


def test_the_long_ones_run_when_named_or_asked_for() -> None:
    long = {b.id for b in ALL if b.full}
    assert long.isdisjoint(b.id for b in select([], full=False))
    assert long <= {b.id for b in select([], full=True)}
    assert [b.id for b in select(["refresh.half_hour"], full=False)] == ["refresh.half_hour"]
