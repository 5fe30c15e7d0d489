"""Settings of jobs on SageMaker, as a profile writes them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from mlplatform.adapters.aws.client import AwsSettings

Arn = Annotated[str, StringConstraints(pattern=r"^arn:aws[a-z-]*:.+$")]
CONTAINER = "{container}"


class SageMakerComputeSettings(AwsSettings):
    """Where jobs run, as whom, and on what."""

    role_arn: Arn = Field(description="The role that jobs take: it reads channels, writes artifacts and reads secrets.")
    image: str = Field(
        default="",
        description="Image of a container by its name: a URI with `{container}` in it. A digest or a tag that never moves.",
    )
    images: dict[str, str] = Field(default_factory=dict, description="Images of single containers, which win.")
    instance_type: str = Field(default="ml.m5.large", description="As SageMaker calls it.")
    instance_types: dict[str, str] = Field(default_factory=dict, description="Of single containers, which win.")
    max_instances: int = Field(default=20, ge=1, description="Hosts a job may have: the account's quota.")
    volume_gib: int = Field(
        default=30, ge=1, description="Of each host's disk: channels, model and checkpoints lie there."
    )
    spot: bool = Field(default=False, description="Whether jobs run on spot capacity; with checkpoints they go on.")
    spot_wait_s: int = Field(default=3600, ge=0, description="Seconds a spot job may wait beyond its time limit.")
    keep_alive_s: int = Field(
        default=0, ge=0, le=3600, description="Seconds its machines wait for the next job (a warm pool, which is paid)."
    )
    retries: int = Field(
        default=0, ge=0, le=30, description="Times SageMaker starts a job again after an internal error."
    )
    subnets: list[str] = Field(default_factory=list, max_length=16, description="Of a VPC that jobs are in.")
    security_groups: list[str] = Field(default_factory=list, max_length=5, description="Of that VPC.")
    network_isolation: bool = Field(default=False, description="Whether jobs reach no network at all.")
    encrypt_traffic: bool = Field(
        default=False, description="Whether hosts of a job encrypt what they tell each other."
    )
    kms_key: str = Field(default="", description="Key that artifacts are encrypted with.")
    volume_kms_key: str = Field(default="", description="Key of the hosts' disks.")
    environment: dict[str, str] = Field(default_factory=dict, description="Variables of every job; no secrets.")
    tags: dict[str, str] = Field(default_factory=dict, description="Tags of every job beside the platform's own.")
    metrics: dict[str, str] = Field(
        default_factory=dict,
        description="Metrics for SageMaker's own charts: name to a regular expression with one group, run over the log.",
    )
    search: Literal["job", "tuning"] = Field(
        default="job",
        description="Who searches hyperparameters: the container within its one job, or a tuning job, each trial a job.",
    )
    search_parallel: int = Field(default=2, ge=1, description="Trials of a tuning job at once.")
    search_strategy: Literal["Bayesian", "Random"] = Field(
        default="Bayesian", description="How a tuning job chooses what it tries."
    )
    events_queue: str = Field(
        default="",
        description="URL of an SQS queue that EventBridge sends SageMaker's state changes to; else it polls.",
    )
    poll_s: float = Field(default=15.0, gt=0, description="Longest time between two looks at a job.")
    patience_s: float = Field(default=300.0, ge=0, description="Seconds that AWS may be away while a job is awaited.")

    @model_validator(mode="after")
    def _whole(self) -> SageMakerComputeSettings:
        if bool(self.subnets) != bool(self.security_groups):
            raise ValueError("subnets and security_groups: a job in a VPC needs both")
        if self.image and CONTAINER not in self.image:
            raise ValueError(f"image: expected {CONTAINER} in it, found '{self.image}'; for one container use images")
        if self.spot and self.keep_alive_s:
            raise ValueError("keep_alive_s: SageMaker keeps no spot machine; set spot: false or keep_alive_s: 0")
        return self
