"""Every kind of error leaves its own exit code, names what failed, and shows no traceback."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from mlplatform.cli.main import command_line
from mlplatform_tests.cli.commands import Shell
from mlplatform_tests.spec.editing import edit


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nonsense",), 'Unknown command "nonsense"'),
        (("query", "stock_prices"), "requires an argument"),
        (("predict", "stock_prices", "{}", "--fille", "x"), "--fille"),
        (("promote", "stock_prices/stock_prices", "one"), "int"),
        (("keys", "frob"), "frob"),
        (("objects", "--limit", "0"), "Must be >= 1"),
        (("query", "stock_prices", "SELECT 1", "--timeout-s", "0"), "Must be > 0"),
    ],
)
def test_wrong_use_is_2(shell: Shell, arguments: tuple[str, ...], words: str) -> None:
    done = shell.run(*arguments)
    assert (done.code, done.out) == (2, "")
    assert words in done.err
    machine = shell.run(*arguments, "--json")
    assert machine.code == 2
    assert machine.error["code"] == "wrong_use"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("query", "nowhere", "SELECT 1"), "There is no system 'nowhere'"),
        (("plan", "nowhere"), "There is no system 'nowhere'; there are: churn, stock_prices"),
        (("apply", "nowhere"), "There is no system 'nowhere'"),
        (("destroy", "nowhere"), "There is no system 'nowhere'; there are: churn, stock_prices"),
        (("receipts", "stock_prices/nowhere"), "nowhere"),
        (("quarantine", "list", "stock_prices/nowhere"), "nowhere"),
        (("models", "stock_prices/nowhere"), "nowhere"),
        (("rollback", "stock_prices/nowhere"), "nowhere"),
        (("rollback", "stock_prices/stock_prices"), "was never deployed"),
        (("evaluations", "stock_prices/nowhere"), "nowhere"),
        (("requests", "nowhere"), "There is no system 'nowhere'"),
        (("keys", "create", "stock_prices/nowhere", "me"), "nowhere"),
        (("keys", "revoke", "0123456789ab"), "There is no API key '0123456789ab'; there are: none"),
        (("put", "stock_prices/nowhere", "--record", "{}"), "nowhere"),
        (("put", "stock_prices/stock_stream", "missing.jsonl"), "There is no file 'missing.jsonl'"),
        (("upload", "missing.csv", "a/b.csv"), "There is no file 'missing.csv'"),
        (("state", "restore", "missing.tar", "--replace"), "There is no backup at 'missing.tar'"),
        (("lineage", "nowhere.g1.main.00000000-0000-7000-8000-000000000000"), "No system has an endpoint 'nowhere'"),
    ],
)
def test_what_is_not_there_is_6_and_named(shell: Shell, arguments: tuple[str, ...], words: str) -> None:
    done = shell.run(*arguments)
    assert done.code == 6, done
    assert words in done.err
    assert shell.run(*arguments, "--json").error["code"] == "not_found_error"


@pytest.mark.parametrize(
    ("arguments", "shape", "example"),
    [
        (("put", "stock_stream", "--record", "{}"), "SYSTEM/STREAM", "stock_prices/stock_stream"),
        (("receipts", "stock_table"), "SYSTEM/TABLE", "stock_prices/stock_table"),
        (("models", "stock_model"), "SYSTEM/MODEL", "stock_prices/stock_model"),
        (("rollback", "nope"), "SYSTEM/ENDPOINT", "stock_prices/stock_prices"),
        (("evaluations", "a/b/c"), "SYSTEM/MONITOR", "stock_prices/stock_monitor"),
    ],
)
def test_a_name_of_another_shape_is_answered_with_one_of_that_shape(
    shell: Shell, arguments: tuple[str, ...], shape: str, example: str
) -> None:
    assert shell.run(*arguments, "--json").error["next_step"] == f"Write it as {shape}, e.g. {example}."
    kind = shape.removeprefix("SYSTEM/").title()
    assert example.partition("/")[2] in {
        s.name for s in shell.platform().specs["stock_prices"].stations if kind in type(s).__name__
    }


def test_a_query_that_is_no_sql_names_its_system(shell: Shell) -> None:
    found = shell.run("query", "stock_prices", "SELEC 1", "--json").error
    assert found["message"].startswith("System 'stock_prices': The query is no SQL: ")
    assert found["next_step"] == "Correct the query: one SELECT, in DuckDB's dialect."


@pytest.mark.parametrize(
    "arguments",
    [
        ("put", "stock_stream", "--record", "{}"),
        ("receipts", "a/b/c"),
        ("lineage", "nonsense"),
        ("predict", "stock_prices"),
        ("upload", ".", "a/b.csv"),
        ("predict", "stock_prices", "{}", "--url", "localhost:8710"),
        ("keys", "create", "*", "me", "--expires", "2001-01-01"),
    ],
)
def test_arguments_of_the_wrong_form_are_5(shell: Shell, arguments: tuple[str, ...]) -> None:
    done = shell.run(*arguments)
    assert done.code == 5, done
    assert done.err.startswith("error: ")


def test_a_typo_in_a_yaml_is_3_with_file_line_key_and_the_nearest_word(shell: Shell) -> None:
    path = shell.defs / "stock_prices" / "defs.yaml"
    line = edit(path, "shards: 2", "shard: 2")
    for arguments in (("status",), ("plan",), ("query", "stock_prices", "SELECT 1")):
        done = shell.run(*arguments)
        assert done.code == 3
        assert f"{path}:{line}: attributes.shard: there is no such key; did you mean 'shards'?" in done.err


def test_another_profile_than_the_states_is_4(shell: Shell) -> None:
    assert shell.run("objects").code == 0
    (shell.home / "state.json").write_text(json.dumps({"version": 1, "profile": "aws"}))
    done = shell.run("objects")
    assert done.code == 4
    assert "made under profile 'aws', not 'local'" in done.err
    assert "→ Set MLPLATFORM_PROFILE=aws" in done.err
    assert shell.run("objects", MLPLATFORM_PROFILE="nowhere").code == 4


def test_an_occupied_port_is_7_and_named(shell: Shell) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = shell.process("serve", MLPLATFORM_GATEWAY_PORT=str(port))
    assert done.code == 7
    assert str(port) in done.err
    assert "Traceback" not in done.err


def test_state_of_a_newer_release_or_a_damaged_stamp_is_12(shell: Shell) -> None:
    assert shell.run("objects").code == 0
    (shell.home / "state.json").write_text(json.dumps({"version": 99, "profile": "local"}))
    assert shell.run("objects").code == 12
    (shell.home / "state.json").write_text("{")
    done = shell.run("objects")
    assert done.code == 12
    assert "is no state stamp" in done.err


def test_help_describes_every_command_and_every_parameter() -> None:
    def walk(app: object, path: str) -> list[str]:
        bare: list[str] = []
        for name in app:  # type: ignore[attr-defined]
            if name.startswith("-"):
                continue
            command = app[name]  # type: ignore[index]
            if command.default_command is None:
                bare += walk(command, f"{path} {name}")
                continue
            if not command.help.strip():
                bare.append(f"{path} {name}")
            arguments = command.assemble_argument_collection(parse_docstring=True)
            bare += [f"{path} {name} {a.name}" for a in arguments if not a.parameter.help]
        return bare

    assert walk(command_line(), "mlplatform") == []


def test_the_version_is_the_packages(shell: Shell) -> None:
    assert shell.process("--version").out.strip() == version("mlplatform")


def test_output_that_nobody_reads_ends_quietly(live: Shell, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mlplatform.cli.main", "query", "stock_prices", "SELECT * FROM stock_table"]
    with subprocess.Popen(command, env=live.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 0


def test_settings_that_are_no_text_are_a_wrong_profile(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.dg.project]\nroot_module = 'shop'\n")
    (tmp_path / ".env").write_bytes("A=caf\u00e9".encode("latin-1"))
    command = [sys.executable, "-m", "mlplatform.cli.main", "state", "version"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 4
    assert "expected UTF-8" in done.stderr
    assert "Traceback" not in done.stderr
