"""Secrets from the environment: ``MLPLATFORM_SECRET_<NAME>``, or a file that ``MLPLATFORM_SECRET_<NAME>_FILE`` names.

The file form is what container platforms mount; one line break at its end is not part of the secret. A name's letters are
upper-cased, and what is no letter or digit becomes ``_``: ``slack-url`` → ``MLPLATFORM_SECRET_SLACK_URL``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from pydantic import SecretStr

from mlplatform.errors import NotFoundError, PermissionDeniedError, UserError

PREFIX = "MLPLATFORM_SECRET_"


class EnvironmentSecrets:
    """Looks names up in `env` when asked, so that a rotated file is seen."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env

    def get(self, name: str) -> SecretStr:
        variable = PREFIX + re.sub(r"[^A-Z0-9]", "_", name.upper())
        value, path = self._env.get(variable), self._env.get(f"{variable}_FILE")
        if value is not None and path is not None:
            raise UserError(
                f"Secret '{name}' is set twice: by {variable} and by {variable}_FILE.", next_step="Unset one."
            )
        if value is not None:
            return SecretStr(value)
        if path is not None:
            return SecretStr(_read(name, f"{variable}_FILE", Path(path)))
        raise NotFoundError(
            f"There is no secret '{name}': neither {variable} nor {variable}_FILE is set.",
            next_step=f"Set {variable} in the environment of this process.",
        )


def _read(name: str, variable: str, path: Path) -> str:
    where = f"Secret '{name}': file '{path}' that {variable} names"
    try:
        text = path.read_text("utf-8")
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise NotFoundError(f"{where} is not there.", next_step="Mount or write it.") from None
    except PermissionError:
        raise PermissionDeniedError(
            f"{where} cannot be read by this user.", next_step="Give this user the right to read it."
        ) from None
    except UnicodeDecodeError:
        raise UserError(f"{where} is not UTF-8 text.", next_step="Write the secret as UTF-8 text.") from None
    return text.removesuffix("\n").removesuffix("\r")
