"""``python -m mlplatform_tests.servers.sagemaker PORT FOLDER``: S3 and the other services are where AWS_ENDPOINT_URL says."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from mlplatform_tests.servers.sagemaker.app import App

if __name__ == "__main__":
    App(int(sys.argv[1]), Path(sys.argv[2]), os.environ).serve_forever(poll_interval=0.05)
