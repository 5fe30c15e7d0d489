"""The generated reference: `python -m mlplatform.cli.reference docs/reference` writes its pages and `schema/`.

What is written comes from the spec models, the command line and the tables of errors, so that it cannot say otherwise.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from cyclopts import App

from mlplatform.cli.connections_page import connections_page
from mlplatform.cli.main import command_line
from mlplatform.cli.tables import GENERATED, doc, fields_table, first, table
from mlplatform.cli.yaml_examples import documents, values
from mlplatform.errors import PlatformError, exit_code, http_status
from mlplatform.spec.json_schema import FOLDER, write_schemas
from mlplatform.spec.profile import Profile
from mlplatform.spec.system import SPECS


def pages() -> dict[str, str]:
    """Each page's file name and text."""
    return {
        "yaml.md": yaml_page(),
        "connections.md": connections_page(),
        "cli.md": cli_page(),
        "errors.md": errors_page(),
    }


def yaml_page() -> str:
    """Every component type with its fields, and the profile."""
    examples = documents()
    parts = [
        f"# YAML\n\n{GENERATED}\nA system is one `defs/<system>/defs.yaml`: documents of `type` and `attributes`. A key that is not "
        "listed here is an error. A profile is one `profiles/<name>.yaml`. Units stand in the names: `_s` seconds, `_h` hours, "
        "`_days` days, `_kib` and `_mib` KiB and MiB; days and times are in UTC. Examples are the shipped system's where it has "
        "one. For editors, the same as JSON Schema: [system](schema/system.json), [profile](schema/profile.json).\n"
    ]
    for kind, spec in SPECS.items():
        parts.append(f"## {kind}\n\n{doc(spec)}\n\n{fields_table(spec, values(kind))}")
        parts.append(f"```yaml\n{examples[kind]}\n```\n" if kind in examples else "")
    parts.append(f"## Profile\n\n{doc(Profile)}\n\n{fields_table(Profile, {})}")
    return "\n".join(p for p in parts if p)


def cli_page() -> str:
    """Every command with its parameters."""
    app = command_line()
    parts = [f"# Command line\n\n{GENERATED}\n{app.help}\n\n{app.help_epilogue}\n"]
    for path, command in _commands(app, "mlplatform"):
        parts.append(_command(path, command))
    return "\n".join(parts)


def errors_page() -> str:
    """Kinds of errors with exit code, HTTP status and whether a retry can help."""
    rows = [
        (
            f"`{kind('').code}`",
            f"{first(kind.__doc__)}",
            str(exit_code(kind(""))),
            str(http_status(kind(""))),
            "yes" if kind.retryable else "no",
            kind.fallback,
        )
        for kind in _tree(PlatformError)
    ]
    kinds = table(("kind", "meaning", "exit code", "HTTP status", "retry helps", "next step"), rows)
    example = (
        "A message says what failed, on which object, what was expected and what was found; a line under it, what to do next; where an error has no step of its own, its kind's:\n\n"
        "    $ mlplatform receipts stock_prices/nowhere\n"
        "    error: System 'stock_prices' has no mlplatform.Table 'nowhere'; it has: stock_table.\n"
        "      → Name one of these.\n\n"
        "    $ mlplatform receipts stock_table\n"
        "    error: 'stock_table' is no SYSTEM/TABLE.\n"
        "      → Write it as SYSTEM/TABLE, e.g. stock_prices/stock_table.\n"
    )
    note = (
        "Exit code 0 is success, 2 also stands for wrong use of a command, 130 for Ctrl-C. With `--json` an error is one JSON object on standard error: "
        '`{"error": {"code", "message", "next_step"}}`; the gateway answers in the same form.'
    )
    return f"# Errors\n\n{GENERATED}\n{example}\n{note}\n\n{kinds}\n"


def main(argv: Sequence[str]) -> int:
    """Write the pages into the folder that `argv` names."""
    if len(argv) != 1:
        print("usage: python -m mlplatform.cli.reference FOLDER", file=sys.stderr)
        return 2
    folder = Path(argv[0])
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, "utf-8")
        print(folder / name)
    for path in write_schemas(folder / FOLDER):
        print(path)
    return 0


def _commands(app: App, path: str) -> Iterator[tuple[str, App]]:
    for name in app:
        if name.startswith("-"):
            continue
        command = app[name]
        if command.default_command is None:
            yield from _commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def _command(path: str, command: App) -> str:
    rows, usage = [], [path]
    for argument in command.assemble_argument_collection(parse_docstring=True):
        positional = argument.field_info.kind is not argument.field_info.KEYWORD_ONLY
        word = argument.name.removeprefix("--").upper() if positional else argument.name
        shown = word if positional or argument.hint is bool else f"{word} …"
        usage += [shown if argument.required else f"[{shown}]"]
        default = argument.field_info.default
        plain = default in (None, False, "") or argument.required
        rows.append((f"`{word}`", str(argument.parameter.help), "" if plain else f"`{default}`"))
    words = " ".join(command.help.split("Parameters\n")[0].split())
    return f"## {path}\n\n{words}\n\n    {' '.join(usage)}\n\n{table(('parameter', 'meaning', 'default'), rows)}"


def _tree(kind: type[PlatformError]) -> Iterator[type[PlatformError]]:
    for child in kind.__subclasses__():
        # Those of the tree itself: what else is loaded by now must not change the page.
        if child.__module__ != kind.__module__:
            continue
        yield child
        yield from _tree(child)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
