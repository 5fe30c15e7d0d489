"""API docs at ``/schema``: one page that comes with the package (no CDN), and the OpenAPI document it reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from litestar import Request
from litestar.openapi.plugins import JsonRenderPlugin, OpenAPIRenderPlugin

from mlplatform.gateway.openapi import components, predict_paths

if TYPE_CHECKING:
    from mlplatform.serving.model_server import ModelServer

_PAGE = Path(__file__).with_name("docs.html").read_bytes()


class DocsPage(OpenAPIRenderPlugin):
    """The page at ``/schema``."""

    def __init__(self) -> None:
        super().__init__(path="/")

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:  # noqa: ARG002 - the page fetches it
        return _PAGE


class Schema(JsonRenderPlugin):
    """``/schema/openapi.json``: Litestar's routes, and the predict routes of what is served now."""

    def __init__(self, models: ModelServer) -> None:
        super().__init__()
        self._models = models

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        ours = components()
        theirs: dict[str, Any] = openapi_schema.get("components", {})
        merged = {
            **openapi_schema,
            "paths": {**predict_paths(self._models.models()), **openapi_schema.get("paths", {})},
            "components": {kind: {**theirs.get(kind, {}), **ours.get(kind, {})} for kind in {*theirs, *ours}},
        }
        return super().render(request, merged)
