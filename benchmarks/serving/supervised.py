"""The gateway's workers under their supervisor, as `mlplatform serve` starts them, without Dagster beside them."""

from __future__ import annotations

import os

from mlplatform.platform import open_platform
from mlplatform.serving.gateway_workers import gateway_programs
from mlplatform.serving.listening import listen
from mlplatform.serving.supervisor import Supervisor

if __name__ == "__main__":
    platform = open_platform()
    addresses = platform.profile.addresses
    listening = listen(addresses.host, addresses.gateway_port)
    programs = gateway_programs(listening, addresses.gateway_workers, env=os.environ)
    Supervisor(programs, run=platform.home.run, logs=platform.home.logs).run()
