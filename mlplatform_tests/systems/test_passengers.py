"""A system of batches in a user's own project: categories, missing values, two classes, no stream, no endpoint."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from mlplatform.components.platform_resource import PlatformResource
from mlplatform.components.station import PLATFORM
from mlplatform.definitions import build
from mlplatform.errors import NotFoundError, SpecError
from mlplatform.platform import SystemStations, open_platform
from mlplatform.spec.loader import load_system
from mlplatform_tests.spec.editing import edit
from mlplatform_tests.systems.passengers import EXAMPLE, harbour

JOB = "passengers_refresh"


@dataclass
class Batches:
    """The example in a project of its own, in this process."""

    defs: Path
    env: dict[str, str]
    instance: dg.DagsterInstance

    @property
    def definitions(self) -> dg.Definitions:
        return build(self.defs.parent)

    @property
    def stations(self) -> SystemStations:
        return open_platform(self.env).system("passengers")

    def upload(self, name: str) -> None:
        """Drop a list, and load what was dropped."""
        stations = self.stations
        stations.platform.store.put(f"passengers/lists/{name}", (self.defs.parents[1] / "data" / name).read_bytes())
        stations.ingest("passengers").create()
        stations.ingest("passengers").run()

    def refresh(self, **tags: str) -> dg.ExecuteInProcessResult:
        job = self.definitions.resolve_job_def(JOB)
        return job.execute_in_process(instance=self.instance, tags=tags, raise_on_error=False)

    def asked(self) -> Any:
        """What the sensor asks runs for, once the rows have settled."""
        self.stations.retrain("survival").decide(datetime.now(UTC) + timedelta(minutes=2))
        resources = {PLATFORM: PlatformResource(defs=str(self.defs))}
        with dg.build_sensor_context(instance=self.instance, resources=resources) as context:
            return self.definitions.resolve_sensor_def(f"{JOB}_requests").evaluate_tick(context)

    def told(self) -> list[str]:
        path = self.stations.platform.home.logs / "notifications.jsonl"
        return [json.loads(line)["title"] for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def batches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Batches]:
    with harbour(tmp_path_factory.mktemp("batches")) as made:
        yield Batches(made.defs, made.env, made.instance)


@pytest.fixture(scope="module")
def trained(batches: Batches) -> Batches:
    """The first model, asked for by the first list."""
    batches.upload("first.csv")
    asked = batches.asked()
    assert [r.tags["mlplatform/request"] for r in asked.run_requests] == ["passengers/survival/00000001"]
    assert batches.refresh(**asked.run_requests[0].tags).success
    return batches


def test_the_first_list_asks_for_a_model_and_gets_one(trained: Batches) -> None:
    request = trained.stations.retrain("survival").requests()[0]
    assert (request.status, request.message) == ("done", "version 1")
    assert trained.told() == ["[passengers] Version 1 of passengers.survival is its champion"]
    assert [r.id for r in trained.stations.retrains()[0].requests()] == ["passengers/survival/00000001"]


def test_its_line_ends_at_the_model(trained: Batches) -> None:
    keys = {
        key.path[-1]
        for key in trained.definitions.resolve_asset_graph().get_all_asset_keys()
        if key.path[0] == "passengers"
    }
    assert keys == {"passengers", "warehouse_upkeep", "passenger_features", "survival_candidate", "survival"}


def test_a_second_model_is_compared_with_the_first_one(trained: Batches) -> None:
    trained.upload("second.csv")
    result = trained.refresh()
    evidence = {e.check_name: e for e in result.get_asset_check_evaluations()}["gate"]
    versions = trained.stations.registry("survival").versions()
    assert evidence.metadata["champion_version"].value == 1
    assert result.success == evidence.passed
    assert [v.version for v in versions if "champion" in v.aliases] == [len(versions)]


def test_with_a_model_in_use_the_first_training_is_not_asked_for_again(trained: Batches) -> None:
    decided = trained.stations.retrain("survival").decide(datetime.now(UTC) + timedelta(minutes=9))
    assert (decided.request, decided.reason) == (None, "no monitor asks for retrainings")


def test_a_person_may_choose_another_version_that_passed(trained: Batches) -> None:
    registry = trained.stations.registry("survival")
    registry.appoint(1)
    champion = registry.champion()
    assert champion is not None
    assert champion.version == 1
    with pytest.raises(NotFoundError, match=r"'passengers.survival' has no version 9; it has: 1"):
        registry.appoint(9)


def test_a_refresh_names_an_endpoint_or_a_model_that_none_serves(tmp_path: Path) -> None:
    folder = tmp_path / "passengers"
    folder.mkdir()
    for name in ("defs.yaml", "features.sql"):
        (folder / name).write_text((EXAMPLE / name).read_text())
    path = folder / "defs.yaml"
    line = edit(path, "  model: survival\n", "  model: survivors\n")
    with pytest.raises(
        SpecError, match=f"defs.yaml:{line}: attributes.model: no mlplatform.Model is called 'survivors'"
    ):
        load_system(path)
    edit(path, "  model: survivors\n", "")
    with pytest.raises(SpecError, match="a refresh names either an 'endpoint', or a 'model' that no endpoint serves"):
        load_system(path)
    with path.open("a") as file:
        file.write("---\ntype: mlplatform.Endpoint\nattributes: {name: survived, model: survival}\n")
    edit(path, "  first_rows: 500\n", "  first_rows: 500\n  model: survival\n")
    with pytest.raises(
        SpecError, match="endpoint 'survived' serves model 'survival'; write 'endpoint: survived' instead"
    ):
        load_system(path)
