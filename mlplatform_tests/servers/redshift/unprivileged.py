"""Runs a command as user `nobody` where the caller is root: PostgreSQL refuses root. ``python unprivileged.py COMMAND ARGUMENT…``."""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import sys

PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.setgroups([])
        os.setgid(nobody.pw_gid)
        os.setuid(nobody.pw_uid)
        if sys.platform == "linux":
            # A change of user takes off the leash.
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.execv(sys.argv[1], sys.argv[1:])  # noqa: S606
