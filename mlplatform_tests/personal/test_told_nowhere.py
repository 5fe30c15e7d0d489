"""A personal value is found where rows are kept, and nowhere else: a whole house is run, made to fail, and searched byte by byte."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from mlplatform.spec.scaffold import make_project
from mlplatform_tests.cli.commands import Shell
from mlplatform_tests.personal.people import DAYS, MARK, RICH, RICHEST, lines, lists, people, write_people, wrong_people
from mlplatform_tests.personal.traces import traces
from mlplatform_tests.serving.until import until

pytestmark = pytest.mark.slow

ENDPOINT = "people/spending"
KEPT = (
    r"house/\.mlplatform/streams/",  # records, as long as the stream keeps them
    r"house/\.mlplatform/objects/people/(stream|lists)/",  # landing objects and lists
    r"house/\.mlplatform/objects/_replay/people/",  # records that were taken out of quarantine to be loaded again
    r"house/\.mlplatform/objects/unload/people/",  # rows that feature sets were built from
    r"house/\.mlplatform/warehouse/people/data/main/(people|_quarantine)/",  # the table, and its quarantine
    r"house/\.mlplatform/warehouse/people/catalog\.sqlite",  # the smallest and largest value of each of their files
)
"""Where rows are kept; docs/how-to/retain-and-erase.md lists the same places."""


@dataclass
class House:
    """The house while it is served, and what its commands and answers said."""

    shell: Shell
    gateway: str
    said: dict[str, str]

    def command(self, *arguments: str) -> str:
        done = self.shell.process(*arguments)
        self.said[" ".join(arguments)] = done.out + done.err
        return done.out

    def post(self, body: bytes, kind: str = "application/json") -> httpx.Response:
        token = self.shell.more["TOKEN"]
        answer = httpx.post(
            f"{self.gateway}/predict/spending",
            content=body,
            headers={"content-type": kind, "authorization": f"Bearer {token}"},
            timeout=30,
        )
        self.said[f"{answer.status_code} for {body[:60]!r}"] = answer.text + str(answer.headers)
        return answer

    def rows(self, sql: str) -> list[dict[str, Any]]:
        done = self.shell.run("query", "people", sql, "--json")
        return list(done.json["rows"]) if done.code == 0 else []


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    """Everything that can happen to a row has happened, and nothing runs any more."""
    from mlplatform_tests.servers.ports import free_port

    shell = Shell(tmp_path_factory.mktemp("people"))
    project = make_project("house", shell.root / "house")
    write_people(project.defs)
    port = free_port()
    shell.more = {
        "MLPLATFORM_HOME": str(project.home),
        "MLPLATFORM_DEFS": str(project.defs),
        "MLPLATFORM_GATEWAY_PORT": str(port),
        "MLPLATFORM_GATEWAY_WORKERS": "1",
        "MLPLATFORM_SECRET_CAPTURE_MASK_KEY": "a long random text",
        "PYTHONPATH": str(project.folder),
    }
    found = House(shell, f"http://127.0.0.1:{port}", {})
    with (shell.root / "serve.log").open("wb") as log:
        command = [sys.executable, "-m", "mlplatform.cli.main", "serve"]
        process = subprocess.Popen(command, env=shell.env, cwd=project.folder, stdout=log, stderr=log)
        try:
            _live(found)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(120)
    return found


def _live(house: House) -> None:
    shell = house.shell
    _put(house, people(0, DAYS))
    _put(house, wrong_people())
    for name, data in lists().items():
        (shell.root / "list.csv").write_bytes(data)
        house.command("upload", str(shell.root / "list.csv"), f"people/lists/{name}")
        (shell.root / "list.csv").unlink()
    until(lambda: shell.platform().endpoints.state(ENDPOINT).workers, timeout_s=280)
    shell.more["TOKEN"] = shell.run("keys", "create", ENDPOINT, "people", "--json").json["token"]
    _call(house)
    _put(house, people(DAYS, 8, city="Bruges"))
    until(lambda: "drift" in _told(house), timeout_s=120)
    captured = "SELECT count(*) AS n FROM spending_capture"
    until(lambda: house.rows(captured) == [{"n": 2}], timeout_s=120)
    _fail_a_run(house)
    for arguments in (
        ("quarantine", "list", "people/people"),
        ("quarantine", "list", "people/people", "--json"),
        ("receipts", "people/people"),
        ("receipts", "people/people", "--json"),
        ("status",),
        ("quarantine", "replay", "people/people"),
    ):
        house.command(*arguments)


def _put(house: House, records: list[dict[str, Any]]) -> None:
    done = house.shell.process("put", "people/visits", "-", stdin=lines(records))
    assert f"{len(records)} records stored, 0 refused" in done.out, done.err


def _told(house: House) -> str:
    path = Path(house.shell.env["MLPLATFORM_HOME"]) / "logs" / "notifications.jsonl"
    return path.read_text() if path.exists() else ""


def _call(house: House) -> None:
    row = {"salary": RICHEST, "city": "Lund", "age": 30, "provider": "a.example", "email": f"{MARK}0@a.example"}
    assert house.post(json.dumps({"instances": [row, row]}).encode()).status_code == 200
    for wrong in (
        {**row, "salary": MARK},
        {**row, "salary": [MARK]},
        {**row, "salary": RICHEST * 10},
        {**row, "age": 500},
        {**row, MARK: 1},
        MARK,
        [MARK],
    ):
        assert house.post(json.dumps(wrong).encode()).status_code == 400
    assert house.post(f'{{"{MARK}'.encode()).status_code == 400
    assert house.post(f"{MARK},Lund,30,a.example\n".encode(), "text/csv").status_code == 400
    assert house.post(f"{MARK},Lund,30,a.example\n".encode(), "text/csv; header=present").status_code == 400


def _fail_a_run(house: House) -> None:
    """A query that fails on a value, in a run of its own."""
    folder = Path(house.shell.env["MLPLATFORM_DEFS"]) / "people"
    query = (folder / "features.sql").read_text()
    (folder / "features.sql").write_text(
        query.replace("SELECT email", "SELECT CAST(email AS INTEGER) AS broken, email")
    )
    command = [sys.executable, "-m", "dagster", "asset", "materialize", "-m", "house.definitions"]
    done = subprocess.run(
        [*command, "--select", "key:people/people_features"],
        env={**house.shell.env, "DAGSTER_HOME": str(Path(house.shell.env["MLPLATFORM_HOME"]) / "dagster")},
        cwd=folder.parents[2],
        capture_output=True,
        timeout=240,
    )
    (folder / "features.sql").write_text(query)
    house.said["failed run"] = (done.stdout + done.stderr).decode()
    assert done.returncode != 0
    assert "on a value, which is not told" in house.said["failed run"]


def test_values_are_found_where_rows_are_kept_and_nowhere_else(house: House) -> None:
    found = traces(house.shell.root, (MARK, RICH))
    places = [re.compile(place) for place in KEPT]
    told = [path for path in found if not any(p.match(path) for p in places)]
    assert told == []
    assert [p.pattern for p in places if not any(p.match(path) for path in found)] == []


def test_no_answer_or_command_tells_a_value(house: House) -> None:
    told = {what: text for what, text in house.said.items() if MARK in text or RICH in text}
    assert told == {}


def test_it_did_happen(house: House) -> None:
    """What is searched for in vain would have been told: of every kind there is one."""
    reasons = " ".join(r["reason"] for r in house.shell.run("quarantine", "list", "people/people", "--json").json)
    for said in ("column 'email'", "column 'age'", "expected double", "unknown column •••", "transformation failed: ValueError",
                 "not UTF-8", "expected 6 fields", "header does not fit", "never closes"):  # fmt: skip
        assert said in reasons
    home = Path(house.shell.env["MLPLATFORM_HOME"])
    told = _told(house)
    assert "drift" in told
    pages = [p.read_text() for p in home.glob("reports/data_docs/people/people_features/validations/**/*.html")]
    assert any("email" in page and "unexpected" in page.lower() for page in pages)
    captured = house.rows("SELECT features, keys FROM spending_capture LIMIT 1")[0]
    assert len(json.loads(captured["keys"])["email"]) == len(json.loads(captured["features"])["salary"]) == 32


def test_who_asks_for_it_sees_the_record(house: House) -> None:
    done = house.shell.run("quarantine", "list", "people/people", "--reveal", "--json")
    assert MARK in done.out
    assert "This shows personal columns: email, salary." in done.err


def test_the_mask_is_the_same_wherever_it_stands(house: House) -> None:
    masked = house.shell.run("quarantine", "list", "people/people", "--json").json
    records = [json.loads(r["raw"]) for r in masked if r["raw"].startswith("{")]
    captured = house.rows("SELECT keys FROM spending_capture LIMIT 1")[0]
    assert json.loads(captured["keys"])["email"] in {r["email"] for r in records}
