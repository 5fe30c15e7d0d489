"""Requests per second and latency of one row, ours and one other server in turn, with 1 and with 16 clients."""

from __future__ import annotations

import httpx

from benchmarks.options import Options
from benchmarks.rounds import paired, series
from benchmarks.rows import Bar, Row, row
from benchmarks.serving.load import Call, load
from benchmarks.serving.model import BenchModel, make_model
from benchmarks.serving.ours import gateway
from benchmarks.serving.peers import PEERS, Peer

CLIENTS = (1, 16)
SECONDS = 4.0
WARM_UP_S = 2.0
TOLERANCE = 1e-4
BARS: dict[tuple[str, str], Bar] = {
    ("asgi", "rps"): Bar("ours / peer", "least", 0.6),
    **{(name, "rps"): Bar("ours / peer", "least", 10) for name in ("mlserver", "mlflow", "bentoml")},
    **{(name, "p99_ms"): Bar("ours / peer", "most", 0.25) for name in ("mlserver", "mlflow", "bentoml")},
}
QUANTITIES = {
    "rps": ("requests per second", "1/s"),
    "p50_ms": ("median latency", "ms"),
    "p99_ms": ("p99 latency", "ms"),
}


def serving(options: Options, name: str) -> list[Row]:
    """Rows ``serving.<name>.c<clients>.<quantity>``."""
    peer = PEERS[name]
    scratch = options.folder(f"serving-{name}")
    model = make_model(scratch / "model", trees=options.size(300, 20))
    options.say(f"starting our gateway and {peer.title}, {options.workers} worker(s) each")
    with (
        gateway(model, scratch, workers=options.workers) as ours,
        peer.serve(model, scratch, workers=options.workers) as theirs,
    ):
        check(_prediction(ours, lambda said: float(said["predictions"][0]["target"])), model, "our gateway")
        check(_prediction(theirs, peer.read), model, peer.title)
        return [r for clients in CLIENTS for r in _measure(options, peer, ours, theirs, clients)]


def check(found: float, model: BenchModel, what: str) -> None:
    """Refuse to measure a server that answers something else than the model does."""
    if abs(found - model.expected) > TOLERANCE * max(1.0, abs(model.expected)):
        raise RuntimeError(f"{what} answers {found}, expected {model.expected}: it does not serve the same model")


def _prediction(call: Call, read: object) -> float:
    answer = httpx.post(call.url, content=call.body, headers=dict(call.headers), timeout=30)
    answer.raise_for_status()
    return float(read(answer.json()))  # type: ignore[operator]


def _measure(options: Options, peer: Peer, ours: Call, theirs: Call, clients: int) -> list[Row]:
    script = options.folder("wrk") / "call.lua"
    seconds = 1.0 if options.quick else SECONDS
    for call in (ours, theirs):
        load(call, clients=clients, seconds=1.0 if options.quick else WARM_UP_S, script=script)
    pairs = paired(
        lambda: load(ours, clients=clients, seconds=seconds, script=script),
        lambda: load(theirs, clients=clients, seconds=seconds, script=script),
        rounds=options.rounds(),
        say=lambda text: options.say(f"{peer.title}, {clients} client(s): {text}"),
    )
    rows = []
    for quantity, (title, unit) in QUANTITIES.items():
        a, b = series(pairs, quantity)
        rows.append(
            row(
                f"serving.{peer.name}.c{clients}.{quantity}",
                f"One row, {clients} client{'s' if clients > 1 else ''}: {title}",
                unit,
                a,
                b,
                peer_name=peer.title,
                bar=BARS.get((peer.name, quantity)),
                note=f"{options.workers} worker(s) each; ours with validation, API key and capture",
            )
        )
    return rows
