"""Answers over HTTP are the model's own, in each form that callers may ask for."""

from __future__ import annotations

import json
import re
from pathlib import Path

import httpx
import pytest

from mlplatform.adapters.runtimes import PackageRuntimes
from mlplatform_tests.gateway.site import ROW, Site

ID = r"prices\.g1\.main\.[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


@pytest.fixture(scope="session")
def price(shared_site: Site) -> float:
    """What the model says of `ROW`, asked without a gateway."""
    model = PackageRuntimes().load(shared_site.root / "packages" / shared_site.package())
    value = model.predict_rows([ROW])[0].value
    assert isinstance(value, float)
    return value


def test_an_answer_carries_value_flags_id_and_model(client: httpx.Client, price: float) -> None:
    answer = client.post("/predict/prices", json=ROW)
    assert answer.status_code == 200
    body = answer.json()
    assert body["predictions"] == [{"price": price, "flags": []}]
    assert body["model"] == {"name": "stock_prices.stock_model", "version": 3, "generation": 1}
    assert re.fullmatch(ID, body["inference_id"])
    headers = answer.headers
    assert headers["x-inference-id"] == body["inference_id"]
    assert body["inference_id"].endswith(headers["x-request-id"])
    assert (headers["x-mlplatform-generation"], headers["x-mlplatform-model-version"]) == ("1", "3")
    assert headers["x-amzn-invoked-production-variant"] == "main"


@pytest.mark.parametrize("body", [[ROW, ROW], {"instances": [ROW, ROW]}])
def test_several_rows_are_answered_in_order(client: httpx.Client, price: float, body: object) -> None:
    answer = client.post("/predict/prices", json=body)
    assert [p["price"] for p in answer.json()["predictions"]] == [price, price]


def test_keys_of_the_endpoint_may_stand_beside_the_features(client: httpx.Client, price: float) -> None:
    answer = client.post("/predict/prices", json={**ROW, "trading_day": "2020-07-01"})
    assert answer.json()["predictions"] == [{"price": price, "flags": []}]


def test_an_unseen_category_is_flagged_where_the_signature_says_so(client: httpx.Client) -> None:
    answer = client.post("/predict/prices", json={**ROW, "ticker_symbol": "NEW"})
    assert answer.json()["predictions"][0]["flags"] == ["unseen:ticker_symbol"]


def test_a_missing_value_is_kept_where_the_signature_says_so(client: httpx.Client) -> None:
    left_out = {name: value for name, value in ROW.items() if name != "change"}
    answers = [
        client.post("/predict/prices", json=row).json()["predictions"] for row in (left_out, {**ROW, "change": None})
    ]
    assert answers[0] == answers[1]
    assert answers[0][0]["flags"] == []


@pytest.mark.parametrize(
    ("content_type", "content"),
    [
        ("text/csv", "AAPL,Information Technology,1.5\n"),
        ("text/csv", "AAPL,Information Technology,1.5,2020-07-01\n"),
        ("text/csv; header=present", "change,ticker_symbol,sector\n1.5,AAPL,Information Technology\n"),
    ],
)
def test_csv_is_answered_in_csv(client: httpx.Client, price: float, content_type: str, content: str) -> None:
    answer = client.post("/predict/prices", content=content, headers={"content-type": content_type})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/csv")
    header, row = answer.text.splitlines()
    assert header == "price,flags"
    assert float(row.split(",")[0]) == price


def test_the_accept_header_chooses_the_answers_form(client: httpx.Client) -> None:
    as_csv = client.post("/predict/prices", json=ROW, headers={"accept": "text/csv"})
    assert as_csv.text.startswith("price,flags")
    as_json = client.post(
        "/predict/prices", content="AAPL,Energy,1\n", headers={"content-type": "text/csv", "accept": "application/json"}
    )
    assert as_json.json()["predictions"][0]["flags"] == []


def test_classes_come_with_their_probabilities(client: httpx.Client) -> None:
    prediction = client.post("/predict/rises", json=ROW).json()["predictions"][0]
    assert prediction["rises"] == "yes"
    assert set(prediction["probabilities"]) == {"no", "yes"}
    assert sum(prediction["probabilities"].values()) == pytest.approx(1.0, abs=1e-6)


def test_the_route_may_name_the_system(client: httpx.Client) -> None:
    assert client.post("/predict/stock_prices/prices", json=ROW).status_code == 200


def test_sagemakers_invocations_take_the_endpoint_from_a_header(client: httpx.Client, price: float) -> None:
    headers = {"x-amzn-sagemaker-target-model": "open", "x-amzn-sagemaker-custom-attributes": "trace=9"}
    answer = client.post("/invocations", json=ROW, headers=headers)
    assert answer.json()["predictions"][0]["price"] == price
    assert answer.headers["x-amzn-sagemaker-custom-attributes"] == "trace=9"
    several = client.post("/invocations", json=ROW)
    assert several.status_code == 409
    assert several.json()["error"]["next_step"] == (
        "Name one in the header X-Amzn-SageMaker-Target-Model, or call /predict/<endpoint>."
    )


def test_a_retry_under_the_same_request_id_is_the_same_inference(client: httpx.Client) -> None:
    first, retry = (client.post("/predict/prices", json=ROW, headers={"x-request-id": "order-17"}) for _ in range(2))
    assert first.headers["x-request-id"] == "order-17"
    assert first.json() == retry.json()
    other = client.post("/predict/prices", json=[ROW], headers={"x-request-id": "order-17"})
    assert other.json()["inference_id"] != first.json()["inference_id"]


def test_state_is_told_without_a_key(client: httpx.Client) -> None:
    assert (client.get("/ping").status_code, client.get("/ping").content) == (200, b"")
    health = client.get("/health").json()
    assert health["status"] == "ok"
    assert {"endpoint": "stock_prices/prices", "generation": 1, "version": 3} in health["serving"]
    rows = {e["endpoint"]: e for e in client.get("/endpoints").json()}
    assert sorted(rows) == ["fraud/rises", "stock_prices/open", "stock_prices/prices", "stock_prices/small"]
    assert (rows["stock_prices/prices"]["status"], rows["stock_prices/prices"]["live_generation"]) == ("InService", 1)


def test_the_openapi_document_is_made_from_the_signatures(client: httpx.Client, shared_site: Site) -> None:
    document = client.get("/schema/openapi.json").json()
    assert {"/predict/prices", "/predict/open", "/predict/rises", "/invocations", "/endpoints", "/ping"} <= set(
        document["paths"]
    )
    post = document["paths"]["/predict/prices"]["post"]
    row = post["requestBody"]["content"]["application/json"]["schema"]["oneOf"][2]
    assert row["required"] == ["ticker_symbol", "sector"]
    assert row["properties"]["change"]["type"] == ["number", "null"]
    assert (row["properties"]["change"]["minimum"], row["properties"]["change"]["maximum"]) == (-1000.0, 1000.0)
    assert "trading_day" in row["properties"]
    assert post["security"] == [{"bearer": []}, {"api_key": []}]
    assert document["paths"]["/predict/open"]["post"]["security"] == []
    answer = document["paths"]["/predict/rises"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer["properties"]["predictions"]["items"]["properties"]["rises"]["enum"] == ["no", "yes"]
    whichever = document["paths"]["/invocations"]["post"]
    answers = whichever["responses"]["200"]["content"]["application/json"]["schema"]["anyOf"]
    assert {answers[n]["properties"]["predictions"]["items"]["required"][0] for n in range(4)} == {"price", "rises"}
    assert len(whichever["requestBody"]["content"]["application/json"]["schema"]["anyOf"]) == 4
    lines = {n: e["value"] for n, e in whichever["requestBody"]["content"]["text/csv"]["examples"].items()}
    own = {
        n: document["paths"][f"/predict/{n}"]["post"]["requestBody"]["content"]["text/csv"]["example"] for n in lines
    }
    assert lines == own
    assert len(lines) == 4
    assert whichever["security"] == [{"bearer": []}, {"api_key": []}, {}]


def test_the_documents_examples_are_answered(client: httpx.Client) -> None:
    document = client.get("/schema/openapi.json").json()
    routes = [path for path in document["paths"] if path.startswith("/predict/")]
    assert len(routes) == 4
    for path in routes:
        for content_type, media in document["paths"][path]["post"]["requestBody"]["content"].items():
            example = media["example"]
            content = example if isinstance(example, str) else json.dumps(example)
            answer = client.post(path, content=content, headers={"content-type": content_type})
            assert answer.status_code == 200, (path, content_type, answer.text)


def test_the_docs_page_needs_nothing_from_elsewhere(client: httpx.Client) -> None:
    page = client.get("/schema")
    assert page.headers["content-type"].startswith("text/html")
    assert "/schema/openapi.json" in page.text
    assert not re.search(r"https?://", page.text)


def test_the_package_the_answer_came_from_is_named_by_its_digest(client: httpx.Client, shared_site: Site) -> None:
    rows = {e["endpoint"]: e for e in client.get("/endpoints").json()}
    digest = rows["stock_prices/prices"]["digest"]
    assert digest == shared_site.package()
    assert Path(shared_site.root / "packages" / digest / "model.json").is_file()
