"""`mlplatform.Endpoint`: what serves a model's champion, and what it captures."""

from __future__ import annotations

from pydantic import Field, model_validator

from mlplatform.spec.station import StationSpec, Strict


class CaptureSpec(Strict):
    """What is kept of requests and answers."""

    sample: float = Field(default=1.0, ge=0, le=1, examples=[0.1], description="Share of requests captured.")
    mask: list[str] = Field(
        default_factory=list, examples=[["ticker_symbol"]], description="Fields replaced by a keyed hash."
    )
    drop: list[str] = Field(default_factory=list, examples=[["change"]], description="Fields left out.")
    keep: list[str] = Field(
        default_factory=list,
        examples=[["customer_id"]],
        description="Personal fields kept as they were sent; all other personal fields are masked without being named here.",
    )
    retention_days: float = Field(default=30, gt=0, examples=[90], description="Days captured requests are kept.")

    @model_validator(mode="after")
    def _kept_or_not(self) -> CaptureSpec:
        for name in self.keep:
            if name in (*self.mask, *self.drop):
                raise ValueError(f"field '{name}' is kept, and masked or dropped; name it once")
        return self


class EndpointSpec(StationSpec):
    """An endpoint at /predict/<name> that follows the model's champion by itself."""

    model: str = Field(description="Name of a model of this system.")
    prediction: str = Field(default="prediction", description="Name of the answer's value.")
    keys: list[str] = Field(
        default_factory=list, description="Fields a request may carry beside the features, to join the truth later."
    )
    max_rows: int = Field(default=1000, gt=0, examples=[100], description="Rows in one request at most.")
    max_body_kib: int = Field(default=1024, gt=0, examples=[256], description="KiB of one request's body at most.")
    public: bool = Field(default=False, examples=[True], description="True = no API key needed.")
    capture: CaptureSpec = Field(default_factory=CaptureSpec)
