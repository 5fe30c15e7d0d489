"""Streams that something else than the worker delivers, as the profile's connections say."""

from __future__ import annotations

from functools import partial

from pydantic import ValidationError

from mlplatform.errors import ProfileError
from mlplatform.spec.profile import Profile
from mlplatform.spec.stream import StreamSpec
from mlplatform.spec.system import SystemSpec
from mlplatform.stations.delivered_elsewhere import Elsewhere


def elsewhere_of(profile: Profile, spec: SystemSpec) -> dict[str, Elsewhere]:
    """Those of a system's streams, by name. None where their connection is not there or lacks what it needs: who asks for a
    stream is told.

    Raises:
        ProfileError: settings that are wrong, or objects that are not in S3.
    """
    if not spec.all(StreamSpec):
        return {}
    try:
        streams = profile.connection("streams", port="stream", system=spec.name)
        objects = profile.connection("objects", port="object_store")
    except ProfileError:
        return {}
    if streams.adapter != "kinesis" or not streams.settings.get("delivery"):
        return {}
    from mlplatform.adapters.object_store.s3 import S3Settings
    from mlplatform.adapters.stream.firehose import make, since
    from mlplatform.adapters.stream.kinesis import KinesisSettings

    if objects.adapter != "s3":
        raise ProfileError(
            f"Firehose delivers into S3, and the objects of profile '{profile.name}' are kept by '{objects.adapter}'.",
            next_step="Keep them in S3, or take 'delivery' from the connection of the streams.",
        )
    try:
        settings, store = KinesisSettings.model_validate(streams.settings), S3Settings.model_validate(objects.settings)
    except ValidationError as error:
        raise ProfileError(
            f"Settings of the connections 'streams' or 'objects' are wrong: {error}.",
            next_step="Correct them in the profile.",
        ) from error
    if settings.delivery is None:
        return {}
    found = settings.delivery
    return {
        each.name: Elsewhere(
            found.folder,
            found.suffix,
            found.errors,
            found.buffer_s,
            partial(make, settings.name(spec.name, each.name), each.delivery.prefix, found, settings, store),
            partial(since, settings.name(spec.name, each.name), settings),
        )
        for each in spec.all(StreamSpec)
    }
