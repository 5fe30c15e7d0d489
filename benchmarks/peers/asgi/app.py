"""The bare app: no key, no checks, no ids, no capture. One thread, uvloop, httptools, msgspec."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnxruntime

Message = MutableMapping[str, Any]


def make(
    model: Path,
) -> Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]:
    """The app for the model in the folder `model`."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model / "model.onnx"), options, providers=["CPUExecutionProvider"])
    outputs = [session.get_outputs()[-1].name]
    decode = msgspec.json.Decoder().decode
    encode = msgspec.json.Encoder().encode

    async def app(
        scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        if scope["type"] != "http":
            return
        message = await receive()
        rows = [list(row.values()) for row in decode(message["body"])["instances"]]
        scores = session.run(outputs, {"input": np.array(rows, dtype=np.float32)})[0]
        body = encode({"predictions": scores.reshape(-1).tolist()})
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app
