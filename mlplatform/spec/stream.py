"""`mlplatform.Stream`: a stream of records and its delivery to landing objects."""

from __future__ import annotations

from pydantic import Field

from mlplatform.spec.station import StationSpec, Strict


class DeliverySpec(Strict):
    """When and where delivery writes what it read (Firehose's role): at `max_age_s` or `max_size_mib`, whichever comes first."""

    prefix: str = Field(description="Landing prefix in the object store, ending in '/'.")
    max_age_s: float = Field(
        default=1.0,
        gt=0,
        description="Seconds the oldest undelivered record waits at most; longer where a warehouse that loads it wants fewer appends.",
    )
    max_size_mib: float = Field(default=5.0, gt=0, description="MiB of records in one landing object at most.")
    transform: str | None = Field(
        default=None,
        examples=["my_project.records:clean"],
        description="'package.module:function' that maps one record's bytes to bytes, or None to filter it out.",
    )


class StreamSpec(StationSpec):
    """A stream: records put by partition key, ordered within a shard, kept `retention_h` hours."""

    partition_key: str = Field(description="The record's field whose value chooses the shard.")
    shards: int = Field(default=1, ge=1, le=256, description="Parts that are each in order; a key's records share one.")
    retention_h: float = Field(
        default=168,
        gt=0,
        examples=[720],
        description="Hours a record can be read again; one that is not delivered yet stays longer, where the stream allows it.",
    )
    delivery: DeliverySpec
