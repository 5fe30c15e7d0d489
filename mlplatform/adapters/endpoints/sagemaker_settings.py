"""Settings of endpoints on SageMaker, as a profile writes them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mlplatform.adapters.aws.client import AwsSettings

_S3 = r"^s3://[a-z0-9.-]{3,63}(/[^\s]*)?$"


class Part(BaseModel):
    """A part of the settings: an unknown key is an error, and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Sizing(Part):
    """What an endpoint's models run on."""

    instance_type: str = Field(default="ml.m5.large", description="As SageMaker calls it.")
    instance_count: int = Field(default=1, ge=1, description="Instances at first.")


class Scaling(Part):
    """Instances by calls: a target-tracking policy of Application Auto Scaling."""

    minimum: int = Field(default=1, ge=1, description="Instances at least.")
    maximum: int = Field(ge=1, description="Instances at most.")
    calls_per_minute: float = Field(gt=0, description="Calls an instance answers in a minute, as it should be.")
    scale_in_s: int = Field(default=300, ge=0, description="Seconds between two that take instances away.")
    scale_out_s: int = Field(default=60, ge=0, description="Seconds between two that add some.")

    @model_validator(mode="after")
    def _in_order(self) -> Scaling:
        if self.maximum < self.minimum:
            raise ValueError(f"maximum: expected at least the minimum, {self.minimum}, found {self.maximum}")
        return self


class Traffic(Part):
    """How callers are moved from one generation to the next (a blue/green update)."""

    type: Literal["ALL_AT_ONCE", "CANARY", "LINEAR"] = Field(
        default="ALL_AT_ONCE", description="As SageMaker calls it."
    )
    step_percent: int = Field(default=10, ge=1, le=50, description="Of the capacity: the canary, or one step.")
    wait_s: int = Field(default=300, ge=0, le=3600, description="Seconds it is watched after each step.")
    keep_old_s: int = Field(default=0, ge=0, le=3600, description="Seconds the earlier instances are kept afterwards.")
    alarms: list[str] = Field(
        default_factory=list, max_length=10, description="CloudWatch alarms, any of which brings the earlier one back."
    )


class AsyncCalls(Part):
    """An endpoint that takes asynchronous calls only."""

    output: str = Field(pattern=_S3, description="Where answers are laid, as s3://bucket/prefix.")
    failures: str | None = Field(default=None, pattern=_S3, description="Where failures are laid.")
    at_once: int | None = Field(default=None, ge=1, le=1000, description="Calls an instance is asked at once.")
    success_topic: str | None = Field(default=None, description="ARN of an SNS topic that is told of answers.")
    error_topic: str | None = Field(default=None, description="ARN of an SNS topic that is told of failures.")


class SageMakerCapture(Part):
    """SageMaker's own data capture, in the place of the gateway's: also of calls that do not come through the gateway."""

    percent: int = Field(default=100, ge=1, le=100, description="Of calls captured.")


class Vpc(Part):
    """A network that the containers are in."""

    subnets: list[str] = Field(min_length=1, max_length=16, description="Their ids.")
    security_groups: list[str] = Field(min_length=1, max_length=5, description="Their ids.")


class SageMakerEndpointSettings(AwsSettings):
    """Endpoints that SageMaker serves."""

    role_arn: str = Field(
        description="The role that SageMaker takes on: it reads the model and the image, and writes logs."
    )
    image: str = Field(description="URI of the serving container's image (containers/serve).")
    name_prefix: str = Field(
        default="mlplatform",
        pattern=r"^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,14}$",
        description="What the names of models, configurations and endpoints begin with.",
    )
    sizing: Sizing = Field(default_factory=Sizing, description="Of endpoints that `sizes` does not name.")
    sizes: dict[str, Sizing] = Field(
        default_factory=dict,
        examples=[{"stock_prices/prices": {"instance_type": "ml.c5.xlarge"}}],
        description="By endpoint, as <system>/<endpoint>.",
    )
    scaling: Scaling | None = Field(default=None, description="Without it, instances stay as many as they are.")
    traffic: Traffic = Field(default_factory=Traffic)
    capture: SageMakerCapture | None = Field(
        default=None, description="Who captures: SageMaker, where it is given (`{}`); else the gateway."
    )
    asynchronous: AsyncCalls | None = Field(default=None, description="Only for endpoints that no gateway calls.")
    vpc: Vpc | None = None
    kms_key: str | None = Field(default=None, description="Of the instances' volumes and of what is captured.")
    isolated: bool = Field(default=False, description="No network for the containers.")
    environment: dict[str, str] = Field(default_factory=dict, description="Further variables of the containers.")
    tags: dict[str, str] = Field(default_factory=dict, description="Of all that is made.")
    start_s: int = Field(default=600, ge=60, le=3600, description="A container may take so long to answer /ping.")
    live_s: float = Field(default=3600, gt=0, description="A deployment is waited for so long.")
    answer_s: float = Field(default=60, gt=0, le=60, description="The gateway waits so long for an answer.")
    poll_s: float = Field(default=5, gt=0, description="Pause between two looks at an endpoint that changes.")
    follow_s: float = Field(
        default=5, gt=0, description="Who follows an endpoint that does not change, looks so often."
    )

    def size_of(self, endpoint: str) -> Sizing:
        """What `endpoint` (``<system>/<endpoint>``) runs on."""
        return self.sizes.get(endpoint, self.sizing)
