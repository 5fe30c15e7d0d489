"""What remote work costs, told where the profile's file of prices knows the machine, and as old where the file is."""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from mlplatform.errors import NotFoundError, ProfileError
from mlplatform.platform.costs import paid_for, with_endpoint_cost, with_job_cost
from mlplatform.spec.prices import Prices, read_prices
from mlplatform.spec.profile import load_profile

PRICES = "currency: USD\nas_of: 2026-10-01\nper_hour: {ml.m5.xlarge: 0.24, ml.m5.large: 0.12}\n"
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
LATER = datetime(2027, 2, 1, tzinfo=UTC)


class Installation:
    """As far as costs look: a profile, and jobs on `machine`."""

    def __init__(self, prices: Path | str, machine: str = "ml.m5.xlarge") -> None:
        self.profile, self.compute = self, self
        self.prices = str(prices)
        self.machine = machine

    def describe(self, name: str) -> dict[str, Any]:
        if name == "gone":
            raise NotFoundError("There is no job 'gone' on SageMaker.")
        return {"ResourceConfig": {"InstanceType": self.machine}}


def paid(installation: Installation, billable_s: int | None, *, job: str = "job-1", now: datetime = NOW) -> Any:
    there: Any = installation
    return paid_for(there, job, billable_s, now=now)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "prices.yaml"
    path.write_text(PRICES, "utf-8")
    return path


def test_a_job_s_cost_is_its_billable_time_at_its_machine_s_price(file: Path) -> None:
    assert paid(Installation(file), 900) == {"billable_s": 900, "cost_usd": 0.06, "prices_as_of": "2026-10-01"}


def test_prices_that_are_old_say_so(file: Path) -> None:
    assert paid(Installation(file), 900, now=LATER)["prices_as_of"] == "2026-10-01, 123 days old"


def test_without_a_price_only_the_time_is_told(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert paid(Installation(""), 900) == {"billable_s": 900}
    assert paid(Installation(file, "ml.p5.48xlarge"), 900) == {"billable_s": 900}
    assert paid(Installation(file), None) == {}
    with caplog.at_level(logging.WARNING):
        assert paid(Installation(file), 900, job="gone") == {"billable_s": 900}
        assert paid(Installation("nowhere.yaml"), 900) == {"billable_s": 900}
    assert "what job gone cost is not known: There is no job 'gone'" in caplog.text


def test_what_runs_and_what_serves_is_shown_with_what_it_costs(file: Path) -> None:
    prices = read_prices(file)
    job = {"name": "j", "machine": "ml.m5.xlarge", "hosts": 2, "since": "2026-11-01T11:30:00.000+00:00"}
    assert with_job_cost(job, prices, NOW)["cost_so_far"] == "0.24 USD"
    endpoint = {"endpoint": "s/e", "machine": "ml.m5.large", "workers": 3}
    assert with_endpoint_cost(endpoint, prices, NOW)["cost_per_hour"] == "0.36 USD"
    assert with_endpoint_cost(endpoint, prices, LATER)["cost_per_hour"] == "0.36 USD (prices 123 days old)"
    assert with_endpoint_cost({**endpoint, "machine": ""}, prices, NOW)["cost_per_hour"] == ""
    assert with_endpoint_cost(endpoint, None, NOW) == endpoint
    assert with_job_cost(job, None, NOW) == job


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("currency: dollars\nas_of: 2026-10-01\nper_hour: {}\n", "currency: "),
        ("currency: USD\nper_hour: {}\n", "as_of: Field required"),
        ("currency: USD\nas_of: 2026-10-01\nper_hour: {ml.m5.large: -1}\n", r"per_hour\.ml\.m5\.large: expected a price from 0"),
        ("currency: [\n", "not readable as YAML"),
        ("", "Input should be"),
    ],
)  # fmt: skip
def test_a_file_that_is_none_is_named_with_its_key(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(ProfileError, match=rf"prices\.yaml.*{said}"):
        read_prices(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=r"prices are to be in '.*none\.yaml': No such file"):
        read_prices(tmp_path / "none.yaml")


def test_a_profile_names_the_file_as_seen_from_its_own(tmp_path: Path) -> None:
    profile = "name: mine\nprices: costs/eu.yaml\nconnections: {}\n"
    (tmp_path / "mine.yaml").write_text(profile, "utf-8")
    assert load_profile({"MLPLATFORM_PROFILE": "mine"}, [tmp_path]).prices == str(tmp_path / "costs" / "eu.yaml")


def test_a_profile_leaves_the_file_to_the_environment(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env, shipped = {"MLPLATFORM_PROFILE": "aws"}, [Path(__file__).parents[2] / "profiles"]
    assert load_profile(env, shipped).prices == ""
    assert load_profile({**env, "MLPLATFORM_PRICES": str(file)}, shipped).prices == str(file)
    monkeypatch.chdir(tmp_path)
    assert load_profile({**env, "MLPLATFORM_PRICES": "prices.yaml"}, shipped).prices == str(file)


@pytest.mark.parametrize(
    ("given", "said"), [("${PRICES}", "prices needs PRICES in the environment"), ("${", r"prices: expected \$\{NAME\}")]
)
def test_a_reference_that_says_no_file_is_named(tmp_path: Path, given: str, said: str) -> None:
    (tmp_path / "mine.yaml").write_text(f"name: mine\nprices: '{given}'\nconnections: {{}}\n", "utf-8")
    with pytest.raises(ProfileError, match=rf"mine\.yaml: {said}"):
        load_profile({"MLPLATFORM_PROFILE": "mine"}, [tmp_path])


def test_a_price_is_by_the_hour() -> None:
    assert Prices(currency="EUR", as_of=date(2026, 1, 1), per_hour={"a": 3.6}).cost("a", 10) == 0.01
