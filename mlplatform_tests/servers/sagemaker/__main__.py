"""``python -m mlplatform_tests.servers.sagemaker [--port PORT] [--folder FOLDER]``: the stand-in until it is interrupted.

S3 and the other services are where AWS_ENDPOINT_URL says; where it says nothing, ministack is started beside it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
from pathlib import Path

from mlplatform_tests.servers.ministack.server import ministack
from mlplatform_tests.servers.ports import free_port
from mlplatform_tests.servers.sagemaker.app import App
from mlplatform_tests.servers.sagemaker.server import SageMakerAccount


def main() -> None:
    """Serve one account, that of access key ``test``, whose folder is `folder`, beside those that a test opens."""
    parser = argparse.ArgumentParser(prog="python -m mlplatform_tests.servers.sagemaker")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path("sagemaker"))
    given = parser.parse_args()
    folder, port = given.folder.absolute(), given.port or free_port()
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        aws_url = os.environ.get("AWS_ENDPOINT_URL") or stack.enter_context(ministack(folder)).endpoint_url
        app = App(port, folder / "accounts", {**os.environ, "AWS_ENDPOINT_URL": aws_url})
        app.account("test", str(folder))
        for name, value in SageMakerAccount(f"http://127.0.0.1:{port}", "test", folder, aws_url).env.items():
            print(f"export {name}={value}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            app.serve_forever(poll_interval=0.05)


if __name__ == "__main__":
    main()
