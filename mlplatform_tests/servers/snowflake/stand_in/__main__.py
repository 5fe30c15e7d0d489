"""``python -m stand_in PORT PASSWORD OAUTH_TOKEN PUBLIC_KEY_FILE``: serves until it is stopped."""

from __future__ import annotations

import sys
from pathlib import Path

import uvicorn
from stand_in.accounts import Accounts
from stand_in.app import make_app
from stand_in.translation import mend

if __name__ == "__main__":
    port, password, token, public_key = sys.argv[1:]
    mend()
    app = make_app(Accounts(password, token, Path(public_key).read_bytes()))
    uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning", timeout_graceful_shutdown=1)
