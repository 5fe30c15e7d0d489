"""Large drivers are imported by one thread at a time.

MLflow, Dagster and Great Expectations share libraries whose modules import each other in circles. Two threads that import
such a circle from different ends at once can be handed a module that is half made (Python prefers that to a deadlock), and
fail with AttributeError: seen in the worker, whose lanes and reports run in threads of their own.
"""

from __future__ import annotations

import threading

DRIVER_IMPORTS = threading.RLock()
"""Held around the import of such a driver, and around what it imports when it is first used."""
