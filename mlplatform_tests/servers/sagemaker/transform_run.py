"""A transform job at work: the model's containers are started, asked for each object's records in order, and stopped."""

from __future__ import annotations

import gzip
import json
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from mlplatform.adapters.compute.process import LogTail
from mlplatform.errors import DataError
from mlplatform_tests.servers.sagemaker.account import Account
from mlplatform_tests.servers.sagemaker.buckets import Buckets, buckets_of, key_of
from mlplatform_tests.servers.sagemaker.job_kind import EndedError
from mlplatform_tests.servers.sagemaker.logs import TRANSFORM as GROUP
from mlplatform_tests.servers.sagemaker.logs import JobLogs
from mlplatform_tests.servers.sagemaker.model_server import ModelServer, NotServedError
from mlplatform_tests.servers.sagemaker.models import containers_of, known_model
from mlplatform_tests.servers.sagemaker.record_filter import batches, chosen, encoded, joined, records

if TYPE_CHECKING:
    from mlplatform_tests.servers.sagemaker.job_kind import JobKind

_STARTUP_S = 240.0
_MIB = 1 << 20
_MOST_MIB = 100
"""What a payload may have where the request says 0: without a limit of its own."""


def run(account: Account, record: dict[str, Any], kind: JobKind) -> dict[str, Any]:
    """Run the job; what is added to its description."""
    name = kind.name_of(record)
    folder = account.folder / "transform" / name
    store = buckets_of(account)
    source = record["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"]
    keys = [info.key for info in store.list(key_of(source))]
    if not keys:
        raise DataError(f'No S3 objects found under S3 URL "{source}" given in input data source.')
    variables = {"SAGEMAKER_BATCH": "true", **_options(record), **record.get("Environment", {})}
    model = known_model(account, record["ModelName"])
    chain = [
        ModelServer(account, given, folder / str(place), variables) for place, given in enumerate(containers_of(model))
    ]
    log = JobLogs(account, GROUP, name, ["algo-1"])
    try:
        for server in chain:
            server.begin()
        for server in chain:
            server.await_ready(_STARTUP_S, given_up=lambda: kind.stopping(account, name))
        if kind.stopping(account, name):
            raise EndedError("Stopped")
        kind.change(account, name, {"TransformStartTime": time.time()})
        settings = {**_answered(chain[0]), **record}
        for key in keys:
            if kind.stopping(account, name):
                raise EndedError("Stopped")
            _transform(store, settings, source, key, lambda body: _asked(chain, settings, body))
    except NotServedError as error:
        raise EndedError("Failed", FailureReason=f"ClientError: {error}") from error
    finally:
        for server in chain:
            server.end()
            for line in LogTail(server.log).lines(end=True):
                log.say(line)
        log.close()
        shutil.rmtree(folder, ignore_errors=True)
    return {}


def _options(record: dict[str, Any]) -> dict[str, str]:
    """What the request says of batches, as the container finds it."""
    names = {
        "MaxPayloadInMB": "SAGEMAKER_MAX_PAYLOAD_IN_MB",
        "MaxConcurrentTransforms": "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS",
    }
    found = {variable: str(record[name]) for name, variable in names.items() if name in record}
    if "BatchStrategy" in record:
        found["SAGEMAKER_BATCH_STRATEGY"] = (
            "SINGLE_RECORD" if record["BatchStrategy"] == "SingleRecord" else "MULTI_RECORD"
        )
    return found


def _answered(server: ModelServer) -> dict[str, Any]:
    """What the container says of batches itself, where it does; the request wins."""
    answer = server.ask("GET", "/execution-parameters", timeout_s=5.0)
    try:
        found = dict(json.loads(answer.body)) if answer.status == 200 else {}
    except ValueError:
        return {}
    strategies = {"MULTI_RECORD": "MultiRecord", "SINGLE_RECORD": "SingleRecord"}
    if "BatchStrategy" in found:
        found["BatchStrategy"] = strategies.get(found["BatchStrategy"], "MultiRecord")
    return {k: found[k] for k in ("BatchStrategy", "MaxPayloadInMB", "MaxConcurrentTransforms") if k in found}


def _transform(store: Buckets, record: dict[str, Any], source: str, key: str, ask: Callable[[bytes], bytes]) -> None:
    """One object in, one object out, whole."""
    given, target = record["TransformInput"], record["TransformOutput"]
    with store.open(key) as stream:
        data = stream.read()
    if given.get("CompressionType") == "Gzip":
        data = gzip.decompress(data)
    kind = given.get("ContentType", "")
    processing = record.get("DataProcessing", {})
    sent = list(
        batches(
            data,
            given.get("SplitType", "None"),
            record.get("BatchStrategy", "MultiRecord"),
            (record.get("MaxPayloadInMB", 6) or _MOST_MIB) * _MIB,
        )
    )
    asked = sent
    if "InputFilter" in processing:
        asked = [
            encoded([chosen(one, processing["InputFilter"]) for one in records(body, kind)], kind) for body in sent
        ]
    with ThreadPoolExecutor(max(1, record.get("MaxConcurrentTransforms", 1))) as pool:
        found = list(pool.map(ask, asked))
    if processing.get("JoinSource") == "Input" or "OutputFilter" in processing:
        found = [_joined(body, answer, processing, kind) for body, answer in zip(sent, found, strict=True)]
    line = b"\n" if target.get("AssembleWith") == "Line" else b""
    parts = [part.rstrip(b"\n") if line else part for part in found]
    rest = key.removeprefix(key_of(source)).lstrip("/") or key.rpartition("/")[2]
    store.put(f"{key_of(target['S3OutputPath']).rstrip('/')}/{rest}.out", line.join(parts) + (line if parts else b""))


def _joined(body: bytes, answer: bytes, processing: dict[str, Any], kind: str) -> bytes:
    given, said = records(body, kind), records(answer, kind)
    if len(given) != len(said):
        raise DataError(f"The model answered {len(said)} records to {len(given)}.")
    if processing.get("JoinSource") == "Input":
        said = [joined(one, other) for one, other in zip(given, said, strict=True)]
    return encoded([chosen(one, processing.get("OutputFilter", "$")) for one in said], kind)


def _asked(chain: list[ModelServer], record: dict[str, Any], body: bytes) -> bytes:
    """What the model says of a batch. Raises EndedError where it does not."""
    client = record.get("ModelClientConfig", {})
    timeout_s, tries = client.get("InvocationsTimeoutInSeconds", 600), 1 + client.get("InvocationsMaxRetries", 0)
    headers = {"Content-Type": record["TransformInput"].get("ContentType", "application/octet-stream")}
    if "Accept" in record["TransformOutput"]:
        headers["Accept"] = record["TransformOutput"]["Accept"]
    for server in chain:
        for _ in range(tries):
            found = server.ask("POST", "/invocations", body, headers, timeout_s=timeout_s)
            if found.status == 200:
                break
        else:
            why = found.body[:400].decode(errors="replace")
            raise EndedError(
                "Failed",
                FailureReason=f"ClientError: See job logs for more information. The model answered {found.status}: {why}",
            )
        body, headers["Content-Type"] = found.body, found.headers.get("content-type", headers["Content-Type"])
    return body
