"""`mlplatform`: the command line. Exit codes are those of `errors.EXIT_CODES`; 0 is success."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version

from cyclopts import App, CycloptsError, Parameter

from mlplatform.errors import BugError, PlatformError, exit_code

WRONG_USE = 2
STANDARD_INPUT = "/dev/stdin"


@cache
def command_line() -> App:
    """The application with every command."""
    from mlplatform.cli.container import register as container
    from mlplatform.cli.data import register as data
    from mlplatform.cli.erase import register as erase
    from mlplatform.cli.groups import FLAGS
    from mlplatform.cli.models import register as models
    from mlplatform.cli.project import register as project
    from mlplatform.cli.score import register as score
    from mlplatform.cli.serve import register as serve
    from mlplatform.cli.state import register as state
    from mlplatform.cli.test import register as test

    app = App(
        name="mlplatform",
        help=(
            "One YAML file per ML system: from a raw stream to a model that serves, is watched, and refreshes itself.\n\n"
            "To begin: 'mlplatform init my_project' makes a project, 'mlplatform serve --ui' runs it, and "
            "'mlplatform status' says how it is."
        ),
        help_epilogue=(
            "Exit codes: 0 done, 2 wrong use, 3 YAML, 4 profile, 5 data, 6 not found, 7 conflict, 8 not allowed, "
            "9 gate, 10 try again, 11 job failed, 12 state damaged, 70 bug. "
            "Environment: MLPLATFORM_HOME, MLPLATFORM_PROFILE, MLPLATFORM_DEFS, MLPLATFORM_CACHE; a project's .env is read too."
        ),
        version=version("mlplatform"),
        version_flags=["--version"],
        default_parameter=Parameter(negative=()),
    )
    for flag in ("--help", "--version"):
        app[flag].group = FLAGS
    for register in (data, models, score, serve, state, container, project, erase, test):
        register(app)
    return app


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code. `argv` defaults to the process's arguments."""
    from mlplatform.cli.disk import disk_error
    from mlplatform.cli.output import complain, complain_of_use

    if argv is None:
        from mlplatform.platform.ending import ending

        with ending():
            return main(sys.argv[1:])
    # A bare hyphen would be taken for an option.
    arguments = [STANDARD_INPUT if a == "-" else a for a in argv]
    as_json = "--json" in arguments
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        _take_settings()
        result = command_line()(arguments, exit_on_error=False, print_error=not as_json, result_action="return_value")
    except CycloptsError as error:
        if as_json:
            complain_of_use(str(error))
        return WRONG_USE
    except PlatformError as error:
        complain(error, as_json=as_json)
        return exit_code(error)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read has gone: what is still buffered must not fail once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # noqa: BLE001 - the process's boundary
        disk = disk_error(error) if isinstance(error, OSError) else None
        if disk is not None:
            complain(disk, as_json=as_json)
            return exit_code(disk)
        traceback.print_exc()
        bug = BugError(
            f"{type(error).__name__}: {error}",
            next_step="This is a fault of mlplatform: please report the lines above.",
        )
        complain(bug, as_json=as_json)
        return exit_code(bug)
    return result if isinstance(result, int) else 0


def _take_settings() -> None:
    """Let a project's `.env` set what the environment does not."""
    from mlplatform.platform.locate import project_settings

    for name, value in project_settings().items():
        if os.environ.setdefault(name, value) != value and name.endswith("HOME"):
            print(f"note: {name} is {os.environ[name]} here; dg's commands use {value}, from .env.", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
