"""Settings of a connection to MLflow, as a profile writes them: secrets are named, and read with each request."""

from __future__ import annotations

import re

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from mlplatform.adapters.tracking.sagemaker_packages_settings import ModelPackageSettings

_URL = re.compile(r"https?://[^\s/?#@]+(/[^\s?#]*)?")
_ARN = re.compile(r"arn:aws[a-z-]*:sagemaker:[a-z0-9-]+:\d{12}:(mlflow-tracking-server|mlflow-app)/\S+")


class MlflowSettings(BaseModel):
    """Without a server, MLflow keeps its runs in SQLite under MLPLATFORM_HOME."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    server: str | None = Field(
        default=None,
        examples=[
            "https://mlflow.example.org",
            "arn:aws:sagemaker:eu-central-1:111122223333:mlflow-tracking-server/ml",
        ],
        description="Its URL, or the ARN of a tracking server or app that SageMaker manages; else under MLPLATFORM_HOME.",
    )
    pages_url: str | None = Field(
        default=None, description="Where people see the server's pages, for links; else at its URL."
    )
    user: str | None = Field(default=None, description="Who logs in with the password.")
    password_secret: str | None = Field(default=None, description="Name of the secret.")
    token_secret: str | None = Field(default=None, description="Name of the secret: a bearer token.")
    model_packages: ModelPackageSettings = Field(
        default_factory=ModelPackageSettings,
        description="Versions as model packages in SageMaker's Model Registry, too, if it has an image.",
    )

    @field_validator("server")
    @classmethod
    def _is_address(cls, server: str | None) -> str | None:
        if server is not None and not _URL.fullmatch(server) and not _ARN.fullmatch(server):
            raise ValueError(
                "expected http(s)://host[:port][/path] without user and password, or the ARN of an mlflow-tracking-server "
                "or mlflow-app"
            )
        return server

    @model_validator(mode="after")
    def _one_login(self) -> MlflowSettings:
        if (self.user is None) != (self.password_secret is None):
            raise ValueError("expected user and password_secret together")
        if self.user is not None and self.token_secret is not None:
            raise ValueError("expected one of password_secret and token_secret, found both")
        if (self.user or self.token_secret) and not (self.server or "").startswith("http"):
            raise ValueError("a login is for a server at a URL; SageMaker's are asked with AWS's credentials")
        return self

    @property
    def is_managed(self) -> bool:
        """Whether SageMaker manages the server."""
        return self.server is not None and self.server.startswith("arn:")
