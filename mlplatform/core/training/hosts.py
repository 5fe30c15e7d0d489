"""The hosts that train one model together: what one of them, which holds its share of the rows, asks of all.

Two questions are enough. From sums and gathered bytes come distinct values, medians and metrics of all rows, the same on
every host, while no host holds another's rows. One host alone asks itself.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pyarrow as pa


class Hosts(Protocol):
    """All hosts ask the same questions in the same order, each waiting for the others' parts."""

    @property
    def rank(self) -> int:
        """This host's place among them; the first writes what there is once."""
        ...

    @property
    def count(self) -> int: ...

    def sum(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Sums over hosts, one for each value, to the last bit the same on each; float64 or int64."""
        ...

    def gather(self, part: bytes) -> list[bytes]:
        """Each host's part, in order of rank."""
        ...


class Alone:
    """The only host."""

    rank = 0
    count = 1

    def sum(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return values

    def gather(self, part: bytes) -> list[bytes]:
        return [part]


ALONE = Alone()


def total(hosts: Hosts, value: int) -> int:
    """The sum of one whole number."""
    return int(hosts.sum(np.array([value], dtype=np.int64))[0])


def union(hosts: Hosts, values: Iterable[Any]) -> set[Any]:
    """Distinct values over all hosts: text, numbers, booleans and None; of several hosts, what else there is as text."""
    if hosts.count == 1:
        return set(values)
    parts = hosts.gather(json.dumps(list(values), default=str).encode())
    return {value for part in parts for value in json.loads(part)}


def counted(hosts: Hosts, counts: Counter[str]) -> Counter[str]:
    """Counts of names, added up over all hosts."""
    if hosts.count == 1:
        return counts
    found: Counter[str] = Counter()
    for part in hosts.gather(json.dumps(counts).encode()):
        found.update(json.loads(part))
    return found


def concatenated(hosts: Hosts, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """All hosts' values, by rank: for what no sum tells, and for numbers only, since each host then holds them all."""
    if hosts.count == 1:
        return values
    parts = hosts.gather(np.ascontiguousarray(values).tobytes())
    return np.concatenate([np.frombuffer(part).reshape(-1, *values.shape[1:]) for part in parts])


def tables(hosts: Hosts, table: pa.Table) -> list[pa.Table]:
    """Each host's table; a few rows, not what they share."""
    import pyarrow as pa

    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return [pa.ipc.open_stream(part).read_all() for part in hosts.gather(sink.getvalue())]


def median(hosts: Hosts, values: npt.NDArray[np.float64]) -> float | None:
    """The median of all hosts' values, exact (`numpy.median`'s); None where there are none. NaN must not be among them.

    By bisection over the floating-point numbers: 64 counts of values below a bound find the one in the middle.
    """
    count = total(hosts, values.size)
    if not count:
        return None
    if hosts.count == 1:
        return float(np.median(values))
    ordered = np.sort(_places(values))
    below = np.array([(count - 1) // 2, count // 2], dtype=np.int64)
    low, high = [-(2**63)] * 2, [2**63 - 1] * 2
    while low != high:
        middle = [(a + b) // 2 for a, b in zip(low, high, strict=True)]
        found = hosts.sum(np.searchsorted(ordered, np.array(middle, dtype=np.int64), side="right").astype(np.int64))
        for place, enough in enumerate(found > below):
            if enough:
                high[place] = middle[place]
            else:
                low[place] = middle[place] + 1
    return float(np.mean(_values(np.array(low, dtype=np.int64))))


def _places(values: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Whole numbers in the order of the floating-point ones that they stand for."""
    bits = (values + 0.0).view(np.int64)  # -0.0 becomes 0.0
    return np.where(bits < 0, bits ^ np.int64(2**63 - 1), bits)


def _values(places: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    return np.where(places < 0, places ^ np.int64(2**63 - 1), places).view(np.float64)
