"""Versions, predictions and where they came from: `models`, `predict`, `promote`, `rollback`, `lineage`, `keys` …"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from mlplatform_tests.cli.commands import Shell
from mlplatform_tests.cli.conftest import Gateway
from mlplatform_tests.serving.until import until

ENDPOINT = "stock_prices/stock_prices"
ROW = {"ticker_symbol": "AAPL", "sector": "Information Technology", "change": 0.1}


def test_models_lists_versions_with_metrics_and_aliases(live: Shell) -> None:
    first, second = live.run("models", "--json").json
    assert [(v["version"], v["model"]) for v in (first, second)] == [
        (1, "stock_prices.stock_model"),
        (2, "stock_prices.stock_model"),
    ]
    assert second["metrics"]["r2"] == 0.5
    assert first["metrics"]["r2"] > 0.6
    text = live.run("models", "stock_prices/stock_model").out.splitlines()
    assert text[0].split()[:3] == ["model", "version", "aliases"]
    assert len(text) == 4


def test_predict_answers_in_json_and_csv_and_lineage_says_from_what(
    live: Shell, gateway: Gateway, tmp_path: Path
) -> None:
    key = {"MLPLATFORM_API_KEY": gateway.token}
    done = live.run("predict", "stock_prices", json.dumps(ROW), "--url", gateway.url, "--json", **key)
    assert done.code == 0, done.err
    (prediction,) = done.json["predictions"]
    (tmp_path / "rows.csv").write_text("ticker_symbol,sector,change\nAAPL,Information Technology,0.1\n")
    csv = live.run("predict", "stock_prices", "--file", str(tmp_path / "rows.csv"), "--url", gateway.url, **key)
    assert csv.code == 0
    assert float(csv.out.splitlines()[1].split(",")[0]) == pytest.approx(prediction["price"])
    piped = live.process(
        "predict", "stock_prices", "--file", "-", "--url", gateway.url, stdin=json.dumps([ROW, ROW]).encode(), **key
    )
    assert len(json.loads(piped.out)["predictions"]) == 2

    inference_id = done.json["inference_id"]
    traced = live.run("lineage", inference_id, "--json")
    assert traced.code == 0, traced.err
    record = traced.json
    (digest,) = {v["digest"] for v in live.run("models", "--json").json if v["version"] == 1}
    assert (record["digest"], record["generation"], record["version"]) == (digest, 1, 1)
    assert (record["dagster_run"], record["snapshot"]["rows"]) == ("run-1", 250 * 20)
    assert sum(part["rows"] for part in record["parts"]) == 250 * 20
    assert all(part["present"] for part in record["parts"])
    assert record["verdict"]["passed"] is True
    assert inference_id in live.run("lineage", inference_id).out


def test_what_predict_is_refused_has_the_exit_code_of_its_kind(live: Shell, gateway: Gateway) -> None:
    def code(body: str, endpoint: str = "stock_prices", url: str = gateway.url, token: str = gateway.token) -> int:
        return live.run("predict", endpoint, body, "--url", url, MLPLATFORM_API_KEY=token).code

    assert code(json.dumps(ROW)) == 0
    assert code(json.dumps(ROW), token="") == 8
    assert code(json.dumps(ROW), token="mlp_wrong") == 8
    assert code(json.dumps(ROW), endpoint="nowhere") == 6
    assert code("{") == 5
    assert code(json.dumps({"ticker_symbol": "AAPL"})) == 5
    assert code(json.dumps(ROW), url="http://127.0.0.1:1") == 10
    missing = live.run("predict", "stock_prices", json.dumps(ROW), "--url", gateway.url, "--json")
    assert missing.error["code"] == "permission_denied_error"
    assert "mlplatform keys create" in missing.error["next_step"]
    away = live.run("predict", "stock_prices", json.dumps(ROW), "--url", "http://127.0.0.1:1")
    assert "→ Start it: mlplatform serve" in away.err


def test_promote_and_rollback_move_the_endpoint_and_the_champion(live: Shell, gateway: Gateway) -> None:
    def champion() -> list[int]:
        return [v["version"] for v in live.run("models", "--json").json if "champion" in v["aliases"]]

    assert champion() == [1]
    breaking = live.run("promote", ENDPOINT, "2")
    assert breaking.code == 7
    assert "→" in breaking.err
    print(breaking.err)
    done = live.run("promote", ENDPOINT, "2", "--allow-signature-change")
    assert done.code == 0, done.err
    assert "of stock_prices/stock_prices serves version 2." in done.out
    assert champion() == [2]
    back = live.run("rollback", ENDPOINT, "--json")
    assert (back.code, back.json["version"], back.json["reason"]) == (0, 1, "rollback")
    assert champion() == [1]
    assert live.run("rollback", ENDPOINT, "--to", "99").code == 6
    assert live.run("promote", ENDPOINT, "9").code == 6


def test_a_version_without_a_passing_verdict_is_9(live: Shell) -> None:
    platform = live.platform()
    digest = platform.tracking.versions("stock_prices.stock_model")[1].digest
    before = platform.items.get("verdicts", digest)
    assert before is not None
    platform.items.put("verdicts", digest, {"passed": False, "digest": digest, "reason": "r2 0.5 misses 0.6"})
    try:
        done = live.run("promote", ENDPOINT, "2", "--json")
        assert (done.code, done.error["code"]) == (9, "gate_error")
        assert "r2 0.5 misses 0.6" in done.error["message"]
    finally:
        platform.items.put("verdicts", digest, before.value)


def test_keys_are_shown_once_listed_by_id_and_end_when_revoked(live: Shell, gateway: Gateway) -> None:
    made = live.run("keys", "create", ENDPOINT, "me", "--expires", "2099-01-31", "--json").json
    token, key_id = made["token"], made["id"]
    listed = live.run("keys", "list", "--json")
    assert (key_id, "me") in {(k["id"], k["label"]) for k in listed.json}
    assert token not in listed.out
    headers = {"authorization": f"Bearer {token}"}
    ask = lambda: httpx.post(f"{gateway.url}/predict/stock_prices", json=ROW, headers=headers, timeout=30)  # noqa: E731
    until(lambda: ask().status_code == 200)
    assert f"{key_id} (me): revoked" in live.run("keys", "revoke", key_id).out
    until(lambda: ask().status_code == 401)


def test_evaluations_and_requests_are_listed(live: Shell) -> None:
    assert live.run("evaluations", "stock_prices/stock_monitor").out == "(nothing)\n"
    assert live.run("requests", "stock_prices", "--json").json == []
    platform = live.platform()
    platform.system("churn").retrain("churn").decide(datetime.now(UTC))
    assert live.run("requests", "churn", "--json").code == 0


def test_score_answers_rows_of_the_feature_set_under_their_keys_once(live: Shell) -> None:
    done = live.run("score", "stock_prices/stock_model", "--where", "ticker_symbol = 'AAPL'", "--json")
    assert done.code == 0, done.err
    found = done.json
    assert (found["model"], found["version"], found["machine"]) == ("stock_prices.stock_model", 1, "local")
    assert found["rows"] > 200
    assert found["prefix"].startswith("scores/stock_prices/stock_model/")
    again = live.run("score", "stock_prices/stock_model", "--where", "ticker_symbol = 'AAPL'", "--version", "1")
    assert (
        again.out.strip() == f"{found['rows']} rows scored by version 1 of stock_prices.stock_model: {found['prefix']}"
    )
    refused = live.run("score", "stock_prices/stock_model", "--key", "sector", "--json")
    assert refused.code == 5
    assert "Several rows to score have the same key (sector)" in refused.error["message"]
