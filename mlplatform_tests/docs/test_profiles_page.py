"""The page on profiles says what the suites run on, and what adapters were recorded to ask of AWS."""

from __future__ import annotations

import re
from pathlib import Path

from mlplatform.cli.connections_page import SETTINGS
from mlplatform_tests.aws_calls.identities import TRIED
from mlplatform_tests.aws_calls.recorder import listed
from mlplatform_tests.conformance.profiles_page import page
from mlplatform_tests.conformance.proofs import PROOFS

ROOT = Path(__file__).parents[2]


def _shipped() -> set[tuple[str, str]]:
    """Ports and adapters that a profile may name."""
    return {(port, adapter) for port, adapters in SETTINGS.items() for adapter in adapters}


def test_the_page_is_in_step_with_what_is_recorded() -> None:
    assert (ROOT / "docs" / "profiles.md").read_text("utf-8") == page(), "run: make docs"


def test_every_adapter_of_every_port_is_on_it() -> None:
    there = {(proof.port, proof.adapter) for proof in PROOFS}
    assert _shipped() <= there


def test_the_tests_it_names_are_there() -> None:
    named = {name for proof in PROOFS for name in (*proof.tests, *([proof.on_aws] if proof.on_aws else []))}
    assert [name for name in sorted(named) if not (ROOT / "mlplatform_tests" / name).is_file()] == []


def test_what_make_test_aws_runs_is_named() -> None:
    files = {f"aws/{path.name}" for path in (ROOT / "mlplatform_tests" / "aws").glob("test_*.py")}
    assert files == {proof.on_aws for proof in PROOFS if proof.on_aws}


def test_the_policies_it_calls_tried_are_those_that_tests_work_with() -> None:
    texts = "".join(path.read_text("utf-8") for path in (ROOT / "mlplatform_tests" / "aws_calls").glob("test_*.py"))
    used = set(re.findall(r'permitted\(\s*strict_server,\s*"([^"]+)"', texts))
    assert used == TRIED


def test_a_port_without_a_suite_is_said_to_have_none() -> None:
    suites = {proof.port for proof in PROOFS if any(name.startswith("conformance/") for name in proof.tests)}
    ports = {proof.port for proof in PROOFS if (proof.port, proof.adapter) in _shipped()}
    assert ports - suites == {"arrivals", "asset_events", "metrics"}


def test_every_adapter_that_asks_aws_says_where_it_is_shown() -> None:
    shown = {f"{proof.port}: {proof.adapter}" for proof in PROOFS if proof.shown_on}
    others = {"stream: firehose", "gateway: as a Lambda"}
    assert set(listed()) - others <= shown
