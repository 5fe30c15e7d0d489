"""Settings of model packages, a part of those of a tracking connection."""

from __future__ import annotations

from pydantic import Field, model_validator

from mlplatform.adapters.aws.client import AwsSettings


class ModelPackageSettings(AwsSettings):
    """Registered versions as model packages in SageMaker's Model Registry, too."""

    image: str = Field(default="", description="URI of the serving container's image; without it, none are made.")
    approval: bool = Field(
        default=False, description="A version is deployed only when its package is approved there, by a person."
    )
    approvers: str = Field(
        default="", examples=["the risk team, risk@example.org"], description="Who approves, as messages say."
    )
    name_prefix: str = Field(
        default="mlplatform",
        pattern=r"^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,14}$",
        description="What the names of groups begin with.",
    )
    tags: dict[str, str] = Field(default_factory=dict, description="Of the groups.")

    @model_validator(mode="after")
    def _of_something(self) -> ModelPackageSettings:
        if self.approval and not self.image:
            raise ValueError("approval: expected an image beside it; without one no packages are made to approve")
        return self
