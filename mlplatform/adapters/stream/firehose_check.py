"""Whether a delivery stream that is there delivers what is asked of it: its state, where it reads, where it writes."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from mlplatform.errors import ConflictError, StateError

log = logging.getLogger(__name__)


def delivers_since(about: Mapping[str, Any]) -> datetime | None:
    """From when on a delivery stream, as Firehose describes it, takes what arrives on its stream; None while it does not yet."""
    source = about.get("Source", {}).get("KinesisStreamSourceDescription", {})
    if about["DeliveryStreamStatus"] != "ACTIVE" or "DeliveryStartTimestamp" not in source:
        return None
    since: datetime = source["DeliveryStartTimestamp"]
    return since.astimezone(UTC)


def check(about: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Compare a delivery stream, as Firehose describes it, with the request that would make it.

    Raises:
        StateError: it could not be made, or is being deleted.
        ConflictError: it reads another stream, or writes where nothing is loaded from.
    """
    what = f"Delivery stream '{about['DeliveryStreamName']}'"
    status = about["DeliveryStreamStatus"]
    if status not in ("ACTIVE", "CREATING"):
        failure = about.get("FailureDescription", {})
        why = f" ({failure.get('Type')}: {failure.get('Details')})" if failure else ""
        raise StateError(
            f"{what} is {status}{why}; expected ACTIVE. Nothing is delivered: records wait on the stream, as long as it "
            "keeps them.",
            next_step="Delete the delivery stream in Firehose, mend what it names, and make it again, or let it be made by "
            "'create: true' in the connection's delivery.",
        )
    wrong = list(_differences(what, about, expected))
    if wrong:
        raise ConflictError(
            f"{what}: {'; '.join(wrong)}.",
            next_step="Change it in Firehose, or let it be made by 'create: true' under a name that is free.",
        )


def _differences(what: str, about: Mapping[str, Any], expected: Mapping[str, Any]) -> Iterator[str]:
    source = about.get("Source", {}).get("KinesisStreamSourceDescription", {}).get("KinesisStreamARN")
    wanted = expected["KinesisStreamSourceConfiguration"]["KinesisStreamARN"]
    if source != wanted:
        yield f"reads {_told(source)}, expected '{wanted}'"
    found = next((_s3(each) for each in about.get("Destinations", ()) if _s3(each)), None)
    if found is None:
        yield "writes to no bucket of S3"
        return
    asked = expected["ExtendedS3DestinationConfiguration"]
    if found.get("BucketARN") != asked["BucketARN"]:
        yield f"writes to {_told(found.get('BucketARN'))}, expected '{asked['BucketARN']}'"
    # The date below the folder is its maker's own choice.
    folder = asked["Prefix"].partition("!{")[0]
    if not str(found.get("Prefix", "")).startswith(folder):
        yield f"prefix is {_told(found.get('Prefix'))}, expected one that begins with '{folder}'"
    plain = asked["FileExtension"].removesuffix(".gz")
    extension = found.get("FileExtension")
    if extension is None:
        log.warning(
            "%s names no file extension, expected '%s' or '%s.gz': objects without it are not loaded",
            what,
            plain,
            plain,
        )
    elif extension not in (plain, f"{plain}.gz"):
        yield f"file extension is '{extension}', expected '{plain}' or '{plain}.gz'"


def _s3(destination: Mapping[str, Any]) -> Mapping[str, Any] | None:
    found: Mapping[str, Any] | None = destination.get("ExtendedS3DestinationDescription") or destination.get(
        "S3DestinationDescription"
    )
    return found


def _told(value: str | None) -> str:
    return "nothing" if value is None else f"'{value}'"
