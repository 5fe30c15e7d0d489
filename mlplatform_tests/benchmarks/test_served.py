"""The model that all servers serve, and our gateway with it, as the benchmark measures it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import httpx
import pytest

from benchmarks.peers.environment import environment
from benchmarks.serving.bench import check
from benchmarks.serving.load import load
from benchmarks.serving.model import BenchModel, instances, make_model
from benchmarks.serving.ours import gateway
from benchmarks.serving.peers import PEERS

PEERS_FOLDER = Path(__file__).parents[2] / "benchmarks" / "peers"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> BenchModel:
    return make_model(tmp_path_factory.mktemp("bench") / "model", trees=5, rows=500)


def test_our_gateway_and_the_bare_app_answer_what_xgboost_says(model: BenchModel, tmp_path: Path) -> None:
    peer = PEERS["asgi"]
    with gateway(model, tmp_path, workers=1) as ours, peer.serve(model, tmp_path, workers=1) as bare:
        said = httpx.post(ours.url, content=ours.body, headers=dict(ours.headers))
        assert said.json()["predictions"][0]["target"] == pytest.approx(model.expected, rel=1e-5)
        told = httpx.post(bare.url, content=bare.body, headers=dict(bare.headers))
        assert peer.read(told.json()) == pytest.approx(model.expected, rel=1e-5)
        unauthorised = httpx.post(ours.url, content=ours.body, headers={"Content-Type": "application/json"})
        assert unauthorised.status_code == 401
        if shutil.which("wrk"):
            measured = load(bare, clients=2, seconds=1, script=tmp_path / "call.lua")
            assert measured["rps"] > 0
            assert 0 < measured["p50_ms"] <= measured["p99_ms"]


def test_the_same_arguments_give_the_same_model(model: BenchModel, tmp_path: Path) -> None:
    again = make_model(tmp_path / "model", trees=5, rows=500)
    assert (again.digest, again.expected, again.row) == (model.digest, model.expected, model.row)


def test_a_server_of_another_model_is_not_measured(model: BenchModel) -> None:
    check(model.expected, model, "some server")
    with pytest.raises(RuntimeError, match=r"some server answers .*: it does not serve the same model"):
        check(model.expected + 1.0, model, "some server")


@pytest.mark.parametrize("name", sorted(PEERS))
def test_each_server_is_sent_the_same_numbers(name: str, model: BenchModel) -> None:
    body = PEERS[name].body(model.row).decode()
    numbers = [float(n) for n in re.findall(r"[:\[ ](-?\d+\.\d+)", body)]
    assert numbers == list(model.row)
    assert instances(model.row).decode().count("feature_") == len(model.row)


@pytest.mark.parametrize("name", sorted(p.parent.name for p in PEERS_FOLDER.glob("*/requirements.in")))
def test_peers_are_locked_with_hashes_and_name_no_registry(name: str) -> None:
    lock = (PEERS_FOLDER / name / "requirements.lock").read_text()
    assert "--hash=sha256:" in lock
    assert "://" not in lock


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", sorted(n for n, p in PEERS.items() if p.own_environment))
def test_a_peer_in_its_own_environment_answers_what_xgboost_says(name: str, model: BenchModel, tmp_path: Path) -> None:
    environment(name)
    peer = PEERS[name]
    with peer.serve(model, tmp_path, workers=1) as call:
        said = httpx.post(call.url, content=call.body, headers=dict(call.headers))
        assert peer.read(said.json()) == pytest.approx(model.expected, rel=1e-4)
