"""Code that the how-tos show works as they say: a container of one's own, a transformation, an adapter's skeleton."""

from __future__ import annotations

import json
import runpy
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
import yaml

from mlplatform.platform import SystemStations, open_platform
from mlplatform.platform.line import build_features, register_candidate, train_candidate
from mlplatform.spec.scaffold import make_project, write_system
from mlplatform_tests.docs.walkthrough import Block, blocks, reader
from mlplatform_tests.spec.editing import edit

REPOSITORY = Path(__file__).parents[2]
HOW_TO = REPOSITORY / "docs" / "how-to"
EXAMPLE = REPOSITORY / "examples" / "passengers"


def of(page: str) -> list[Block]:
    return blocks(HOW_TO / page)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project, and this process in it."""
    made = make_project("my_project", tmp_path / "my_project")
    monkeypatch.chdir(made.folder)
    return made.folder


def stations(folder: Path, system: str) -> SystemStations:
    env = {"MLPLATFORM_HOME": str(folder / ".mlplatform"), "MLPLATFORM_DEFS": str(folder / "my_project" / "defs")}
    return open_platform(env).system(system)


@pytest.fixture
def forest(folder: Path) -> SystemStations:
    """The tutorial's system with the page's container, and the first list in its table."""
    page = of("own-container.md")
    for block in page:
        if block.title:
            reader(folder, {}).follow(block)
    changes = [yaml.safe_load(b.text)["attributes"] for b in page if b.language == "yaml"]
    system = folder / "my_project" / "defs" / "passengers"
    system.mkdir()
    (system / "features.sql").write_text((EXAMPLE / "features.sql").read_text())
    documents = list(yaml.safe_load_all((EXAMPLE / "defs.yaml").read_text()))
    model = next(d["attributes"] for d in documents if d["type"] == "mlplatform.Model")
    model.pop("search")
    for change in changes:
        model.update(change)
    (system / "defs.yaml").write_text(yaml.safe_dump_all(documents))
    runpy.run_path(str(EXAMPLE / "lists.py"))
    found = stations(folder, "passengers")
    found.platform.store.put("passengers/lists/first.csv", Path("data/first.csv").read_bytes())
    found.ingest("passengers").create()
    found.ingest("passengers").run()
    return found


@pytest.mark.slow
def test_a_container_of_ones_own_trains_what_the_gate_judges_and_the_registry_takes(forest: SystemStations) -> None:
    build_features(forest, "passenger_features", parameters={}, run_id="run", request=None)
    lines: list[str] = []
    step = train_candidate(forest, "survival", run_id="run", request=None, on_log=lines.append)
    assert step.checks[0].passed, step.checks[0].description
    assert step.metadata["roc_auc"] > 0.8
    assert step.metadata["evaluation_recall_true"] > 0.4
    reports = [info.key for info in forest.platform.store.list(step.metadata["evaluation_reports"])]
    assert [key.rpartition("/")[2] for key in reports] == ["confusion.json", "metrics.json"]
    assert any(line.startswith("[0] test:roc_auc:") for line in lines)
    register_candidate(forest, "survival", run_id="run")
    version = forest.registry("survival").champion()
    assert version is not None
    model = forest.platform.runtimes.load(
        forest.platform.tracking.package(version.model, version.digest), digest=version.digest
    )
    woman = {"class": "1", "sex": "female", "age": 30.0, "family": 0, "fare": 80.0, "deck": "B", "port": "C"}
    man = {**woman, "class": "3", "sex": "male", "fare": None, "deck": None}
    answers = model.predict_rows([woman, man])
    assert [a.value for a in answers] == ["true", "false"]
    assert all(abs(sum((a.probabilities or {}).values()) - 1) < 1e-5 for a in answers)


@pytest.fixture
def shop(folder: Path) -> Iterator[SystemStations]:
    """The scaffolded system with the page's transformation."""
    page = of("own-transform.md")
    for block in page:
        if block.title:
            reader(folder, {}).follow(block)
    stream = next(yaml.safe_load(b.text) for b in page if b.language == "yaml")["attributes"]
    path = folder / "my_project" / "defs" / "churn" / "defs.yaml"
    write_system(path.parent)
    documents = list(yaml.safe_load_all(path.read_text()))
    documents[0]["attributes"].update(stream)
    path.write_text(yaml.safe_dump_all(documents))
    path_before = list(sys.path)
    yield stations(folder, "churn")
    sys.path[:] = path_before
    for name in [n for n in sys.modules if n.partition(".")[0] == "my_project"]:
        del sys.modules[name]


def test_a_transformation_of_ones_own_changes_filters_and_loses_nothing(shop: SystemStations) -> None:
    row = {"id": "a", "happened_on": "2026-01-01", "category": "x", "amount": 1250, "target": 2.0, "name": "Ada"}
    records = [row, {"kind": "heartbeat", "id": "h"}, {**row, "id": "b", "amount": "much"}]
    results = shop.producer("churn_stream").put([json.dumps(r).encode() for r in records])
    assert not any(r.error_code for r in results)
    shop.delivery("churn_stream").deliver(datetime.now(UTC) + timedelta(minutes=1))
    shop.ingest("churn_table").create()
    receipts = shop.ingest("churn_table").run()
    counts = [sum(getattr(r, n) for r in receipts) for n in ("arrived", "loaded", "quarantined", "filtered")]
    assert counts == [3, 1, 1, 1]
    loaded = shop.warehouse().query("SELECT id, amount FROM churn_table").to_pylist()
    assert loaded == [{"id": "a", "amount": 12.5}]
    waiting = shop.quarantine("churn_table").list(limit=5)
    assert "transformation failed: TypeError" in waiting[0].reason


class Chat(BaseHTTPRequestHandler):
    """A chat's webhook: keeps what was posted."""

    posted: ClassVar[list[dict[str, str]]] = []

    def do_POST(self) -> None:
        self.posted.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Nothing: what was asked is in `posted`."""


@pytest.fixture
def chat() -> Iterator[str]:
    """The webhook's address, as Apprise writes it."""
    Chat.posted.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Chat) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"json://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


def test_the_pages_profile_tells_a_service_by_a_secret_and_keeps_the_url_out_of_the_log(
    folder: Path, chat: str
) -> None:
    line = next(b.text for b in of("new-notification.md") if b.language == "yaml").splitlines()[1]
    profile = folder / "profiles" / "local.yaml"
    before = "  notifications: {port: notifications, adapter: apprise}"
    edit(profile, before, f"  {line}")
    env = {
        "MLPLATFORM_HOME": str(folder / ".mlplatform"),
        "MLPLATFORM_DEFS": str(folder / "my_project" / "defs"),
        "MLPLATFORM_SECRET_TEAM_CHAT": chat,
    }
    platform = open_platform(env)
    (notify,) = platform.system("my_project_system").notifies()
    assert notify.run_failed("run-1", "no memory")
    assert not notify.run_failed("run-1", "no memory")
    assert [(p["title"], p["message"]) for p in Chat.posted] == [
        ("[my_project_system] A run of my_project_system failed", "Run run-1: no memory")
    ]
    log = (platform.home.logs / "notifications.jsonl").read_text()
    assert "A run of my_project_system failed" in log
    assert "json://" not in log


def test_two_teams_are_told_through_two_connections(folder: Path, chat: str) -> None:
    profile = folder / "profiles" / "local.yaml"
    line = "  notifications: {port: notifications, adapter: apprise}"
    pager = "  on_call: {port: notifications, adapter: apprise, settings: {targets: [pager]}}"
    edit(profile, line, f"{line}\n{pager}")
    path = folder / "my_project" / "defs" / "my_project_system" / "defs.yaml"
    second = {"name": "pager", "connection": "on_call", "events": ["failure"]}
    with path.open("a") as file:
        file.write(f"---\n{yaml.safe_dump({'type': 'mlplatform.Notify', 'attributes': second})}")
    env = {
        "MLPLATFORM_HOME": str(folder / ".mlplatform"),
        "MLPLATFORM_DEFS": str(folder / "my_project" / "defs"),
        "MLPLATFORM_SECRET_PAGER": chat,
    }
    found = open_platform(env).system("my_project_system").notifies()
    told = [[n.run_failed("run-1", "no memory"), n.gate_failed("m", "d", "too low")] for n in found]
    assert told == [[True, True], [True, False]]
    assert [p["title"] for p in Chat.posted] == ["[my_project_system] A run of my_project_system failed"]
    assert not any(n.run_failed("run-1", "no memory") for n in found)
