"""What several hosts find together is what one finds that has all rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlplatform.core.features.fitted import fit
from mlplatform.core.packages.manifest import InputField
from mlplatform.core.training.hosts import ALONE, concatenated, median, total, union
from mlplatform.core.training.metrics import measure_all
from mlplatform.errors import DataError
from mlplatform_tests.core.training.shared import on_hosts
from mlplatform_tests.packages import make_table

finite = st.floats(-1e300, 1e300)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.lists(finite, max_size=9), min_size=2, max_size=3))
def test_the_median_of_all_hosts_rows_is_exact(shares: list[list[float]]) -> None:
    whole = [value for share in shares for value in share]
    found = on_hosts([np.array(share) for share in shares], lambda share, hosts: median(hosts, share))
    assert found == [
        float(np.mean(sorted(whole)[(len(whole) - 1) // 2 : len(whole) // 2 + 1])) if whole else None
    ] * len(shares)


def test_the_median_of_several_hosts_is_numpys() -> None:
    values = np.random.default_rng(0).normal(size=1001)
    assert on_hosts([values[:100], values[100:]], lambda share, hosts: median(hosts, share)) == [np.median(values)] * 2
    assert median(ALONE, values) == np.median(values)
    assert median(ALONE, values[:0]) is None


def test_distinct_values_counts_and_numbers_of_all_are_the_same_on_each() -> None:
    shares = [["b", "a"], [], ["a", "é"]]
    assert on_hosts(shares, lambda share, hosts: union(hosts, share)) == [{"a", "b", "é"}] * 3
    assert on_hosts(shares, lambda share, hosts: total(hosts, len(share))) == [4] * 3
    rows = np.arange(6.0).reshape(3, 2)
    for found in on_hosts([rows[:1], rows[1:]], lambda share, hosts: concatenated(hosts, share)):
        np.testing.assert_array_equal(found, rows)


@pytest.mark.parametrize(("task", "classes"), [("regression", 0), ("binary", 2), ("multiclass", 3)])
def test_metrics_are_those_of_all_rows(task: str, classes: int) -> None:
    rng = np.random.default_rng(1)
    truth = rng.integers(0, classes, 500).astype(float) if classes else rng.normal(1e6, 3, 500)
    predicted: npt.NDArray[np.float64] = rng.random((500, classes)) if classes else truth + rng.normal(size=500)
    alone = measure_all(task, truth, predicted)
    places = [slice(0, 3), slice(3, 3), slice(3, 500)]
    shared = on_hosts(places, lambda place, hosts: measure_all(task, truth[place], predicted[place], hosts))
    assert len(alone) == (4 if classes else 3)
    for found in shared:
        assert found == pytest.approx(alone, rel=1e-9)


def test_transforms_are_fitted_on_the_rows_of_all_hosts() -> None:
    inputs = (InputField("ticker_symbol", "varchar"), InputField("change", "double", missing="median"))
    table = make_table(300)
    shares = [table.slice(0, 1), table.slice(1)]
    assert on_hosts(shares, lambda share, hosts: fit(inputs, share, hosts)) == [fit(inputs, table)] * 2


def test_a_feature_that_has_no_value_on_any_host_is_named_with_all_rows() -> None:
    inputs = (InputField("x", "double", missing="median"),)
    nothing = pa.table({"x": pa.array([None, None], pa.float64())})
    with pytest.raises(DataError, match="Feature 'x' has no value in any of 4 training rows, so no median"):
        on_hosts([nothing, nothing], lambda share, hosts: fit(inputs, share, hosts))
