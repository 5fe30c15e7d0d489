"""The least that can be done: a raw ASGI app on uvicorn that decodes, calls the same ONNX session, and encodes."""
