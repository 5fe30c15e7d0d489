"""Listening sockets."""

from __future__ import annotations

import os
import re
import socket

import pytest

from mlplatform.errors import ConflictError, ProfileError
from mlplatform.serving.listening import check_free, listen
from mlplatform_tests.servers.ports import free_port


def test_a_taken_port_names_its_holder() -> None:
    with listen("127.0.0.1", free_port()) as taken:
        port = taken.getsockname()[1]
        message = f"Port {port} of 127.0.0.1 is taken by process {os.getpid()} ("
        with pytest.raises(ConflictError, match=re.escape(message)):
            listen("127.0.0.1", port)
        with pytest.raises(ConflictError, match=re.escape(f"experiment tracker: {message}")):
            check_free("127.0.0.1", port, purpose="experiment tracker")
    check_free("127.0.0.1", port, purpose="experiment tracker")


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(ProfileError, match=r"'192\.0\.2\.1' is no address of this machine"):
        listen("192.0.2.1", 0)


def test_a_free_port_can_be_taken_and_is_inherited() -> None:
    with listen("127.0.0.1", free_port()) as found:
        assert found.get_inheritable()
        with socket.create_connection(found.getsockname()):
            pass
