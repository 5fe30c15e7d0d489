"""Who may log in: fakesnow lets everybody in. One user, by password, by OAuth token, or by a JWT of his key pair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jwt

USER = "LOADER"


@dataclass(frozen=True)
class Accounts:
    """What proves that one is `USER`."""

    password: str
    token: str
    public_key: bytes

    def refusal(self, login: dict[str, Any]) -> tuple[str, str] | None:
        """Code and message of why a login request's data does not let its sender in; None where it does."""
        way = str(login.get("AUTHENTICATOR") or "SNOWFLAKE").upper()
        if way == "OAUTH":
            return None if login.get("TOKEN") == self.token else ("390303", "Invalid OAuth access token.")
        if way == "SNOWFLAKE_JWT":
            return self._jwt_refusal(str(login.get("TOKEN")))
        known = str(login.get("LOGIN_NAME")).upper() == USER and login.get("PASSWORD") == self.password
        return None if known else ("390100", "Incorrect username or password was specified.")

    def _jwt_refusal(self, token: str) -> tuple[str, str] | None:
        try:
            claims = jwt.decode(token, self.public_key, algorithms=["RS256"])
        except jwt.InvalidTokenError:
            return "390144", "JWT token is invalid."
        named = str(claims["sub"]).rpartition(".")[2] == USER and str(claims["iss"]).startswith(str(claims["sub"]))
        return None if named else ("390144", "JWT token is invalid.")
