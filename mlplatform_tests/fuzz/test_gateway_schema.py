"""Whatever the gateway's own OpenAPI document allows, and what it forbids: answered as documented, never with a 5xx."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from mlplatform_tests.gateway.site import Served, Site

CHECKS = [
    not_a_server_error,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.status_code_conformance,
]
LEAN = settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
FULL = settings(LEAN, max_examples=100, derandomize=False, phases=list(Phase))
HANG_S = 20.0
OPERATIONS = {
    "POST /predict/rises",
    "POST /predict/open",
    "POST /predict/prices",
    "POST /invocations",
    "GET /endpoints",
    "GET /health",
    "GET /ping",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    made = Site(tmp_path_factory.mktemp("fuzz"))
    digest = made.package()
    made.deploy(digest)
    made.deploy(digest, endpoint="stock_prices/open", public=True, max_rows=3)
    made.deploy(made.package(task="binary"), endpoint="fraud/rises", public=True, prediction="rises", keys=[])
    return made


@pytest.fixture(scope="module")
def served(site: Site) -> Iterator[Served]:
    with site.serve() as served:
        yield served
    log = (site.root / "gateway.log").read_text()
    assert "Traceback" not in log, log


@pytest.fixture(scope="module")
def token(site: Site) -> str:
    return site.key()


@pytest.fixture(scope="module")
def document(served: Served) -> schemathesis.BaseSchema:
    return schemathesis.openapi.from_url(f"{served.url}/schema/openapi.json", wait_for_schema=HANG_S)


def answers_as_documented(document: schemathesis.BaseSchema, token: str, how: settings) -> set[str]:
    """Ask every operation for what its document allows and for what it forbids; the operations asked."""
    asked = set()
    for operation in (found.ok() for found in document.get_all_operations()):
        for mode in GenerationMode:

            @how
            @given(operation.as_strategy(generation_mode=mode))
            def ask(case: schemathesis.Case) -> None:
                headers = {"authorization": f"Bearer {token}"}
                answer = case.call_and_validate(headers=headers, checks=CHECKS, timeout=HANG_S)
                assert b"Traceback" not in answer.content

            with suppress(Unsatisfiable):  # where nothing is forbidden
                ask()
        asked.add(operation.label)
    return asked


def test_every_operation_answers_as_its_document_says(document: schemathesis.BaseSchema, token: str) -> None:
    assert answers_as_documented(document, token, LEAN) == OPERATIONS


@pytest.mark.slow
def test_every_operation_answers_as_its_document_says_however_often_it_is_asked(
    document: schemathesis.BaseSchema, token: str
) -> None:
    assert answers_as_documented(document, token, FULL) == OPERATIONS
