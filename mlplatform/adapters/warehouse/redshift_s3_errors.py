"""What S3 refused Redshift at COPY and UNLOAD, as the platform's errors: the cluster passes S3's code on in its own message.

``S3ServiceException:<message>,Status <status>,Error <code>,Rid …``; Spectrum, which reads Parquet, may leave all but the message out.
"""

from __future__ import annotations

import re

from mlplatform.errors import PermissionDeniedError, PlatformError, ProfileError, ThrottledError, UnavailableError

_SAID = re.compile(r"S3ServiceException:\s*(?P<message>[^,]*)(?:,Status (?P<status>\d+))?(?:,Error (?P<code>\w+))?")
_NO_BUCKET = ("NoSuchBucket", "The specified bucket does not exist")
_ELSEWHERE = ("PermanentRedirect", "AuthorizationHeaderMalformed", "must be addressed using the specified endpoint")
_TOO_MUCH = ("SlowDown", "reduce your request rate")


def s3_error(subject: str, message: str) -> PlatformError | None:
    """None where it is not S3 that refused, or nobody knows what to do about it."""
    found = _SAID.search(message)
    if found is None:
        return None
    said = (
        f"{subject}: S3 answered Redshift {found['code'] or found['status'] or ''}".rstrip() + f": {found['message']}."
    )
    status = int(found["status"] or 0)

    def any_of(words: tuple[str, ...]) -> bool:
        return any(word in message for word in words)

    if any_of(_NO_BUCKET):
        return ProfileError(
            said, next_step="Make the bucket, or set 'bucket' of the object store to one that is there."
        )
    if any_of(_ELSEWHERE):
        return ProfileError(said, next_step="Take a bucket in the cluster's region as the object store.")
    if status in (401, 403) or "Access Denied" in message:
        return PermissionDeniedError(
            said,
            next_step="Allow the connection's iam_role s3:ListBucket, s3:GetObject and s3:PutObject there, and on the bucket's key what "
            "these ask for; see that it is attached to the cluster.",
        )
    if any_of(_TOO_MUCH):
        return ThrottledError(said, next_step="Try again later.")
    return UnavailableError(said, next_step="Try again later.") if status >= 500 else None
