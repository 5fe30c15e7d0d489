"""`mlplatform`: the command line. Exit codes are those of `errors.EXIT_CODES`; 0 is success."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError

from mlplatform.errors import PlatformError, exit_code

app = App(
    name="mlplatform",
    help="One YAML file per ML system: from a raw stream to a model that serves, is watched, and refreshes itself.",
    help_epilogue=(
        "Exit codes: 0 done, 2 wrong use, 3 YAML, 4 profile, 5 data, 6 not found, 7 conflict, 8 not allowed, "
        "9 gate, 10 try again, 11 job failed, 12 state damaged, 70 bug. "
        "Environment: MLPLATFORM_HOME, MLPLATFORM_PROFILE, MLPLATFORM_DEFS."
    ),
    version_flags=["--version"],
)


def _register() -> None:
    from mlplatform.cli.data import register as data
    from mlplatform.cli.models import register as models
    from mlplatform.cli.project import register as project
    from mlplatform.cli.serve import register as serve
    from mlplatform.cli.state import register as state

    for register in (data, models, serve, state, project):
        register(app)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code. `argv` defaults to the process's arguments."""
    from mlplatform.cli.output import complain

    arguments = list(sys.argv[1:] if argv is None else argv)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    _register()
    try:
        result = app(arguments, exit_on_error=False, print_error=True, result_action="return_value")
    except CycloptsError:
        return 2
    except PlatformError as error:
        complain(error, as_json="--json" in arguments)
        return exit_code(error)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 0
    return result if isinstance(result, int) else 0


if __name__ == "__main__":
    sys.exit(main())
