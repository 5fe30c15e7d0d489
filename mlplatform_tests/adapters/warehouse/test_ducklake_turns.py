"""Turns at commits that name files: one at a time, let go by who dies, and not waited for without end."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

from mlplatform.adapters.warehouse.ducklake_turns import turn

HOLD = """
import sys, time
from pathlib import Path
from mlplatform.adapters.warehouse.ducklake_turns import turn
with turn(Path(sys.argv[1])) as mine:
    print(mine, flush=True)
    time.sleep(600)
"""


def test_threads_of_a_process_take_turns(tmp_path: Path) -> None:
    within, most, lock = 0, 0, threading.Lock()

    def take() -> None:
        nonlocal within, most
        for _ in range(20):
            with turn(tmp_path, longest_s=60) as mine:
                assert mine
                with lock:
                    within += 1
                    most = max(most, within)
                with lock:
                    within -= 1

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_a_turn_is_another_process_s_until_it_dies(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        with turn(tmp_path, longest_s=0.05) as mine:
            assert not mine, "who waited long enough goes on without"
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with turn(tmp_path, longest_s=60) as mine:
            assert mine
