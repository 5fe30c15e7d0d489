"""A put on Kinesis: of many records some may be refused for now (their shard is asked too much), and are put again alone."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

from mlplatform.adapters.stream.kinesis_aggregation import aggregated, groups
from mlplatform.adapters.stream.kinesis_api import KinesisApi
from mlplatform.errors import PlatformError, ThrottledError, UnavailableError
from mlplatform.ports.stream import PutResult, Record

ATTEMPTS = 8
FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 2.0
_THROTTLED = ("ProvisionedThroughputExceededException", "KMSThrottlingException")


def put_all(api: KinesisApi, records: Sequence[Record]) -> list[PutResult]:
    """Outcomes in the order given; what is refused for now is put again for some seconds, the others never.

    Raises:
        PlatformError: the first call failed as a whole; nothing is known to be stored.
    """
    results = [PutResult()] * len(records)
    waiting = list(range(len(records)))
    for attempt in range(ATTEMPTS):
        if not waiting:
            break
        if attempt:
            time.sleep(random.uniform(0, min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**attempt)))  # noqa: S311
        try:
            answers = api.put([records[place] for place in waiting])
        except PlatformError as error:
            if not attempt:
                raise
            for place in waiting:
                results[place] = PutResult(error_code=error.code, error_message=str(error))
            break
        refused = []
        for place, answer in zip(waiting, answers, strict=True):
            code = answer.get("ErrorCode")
            if not code:
                results[place] = PutResult(answer["ShardId"], answer["SequenceNumber"])
                continue
            refused.append(place)
            kind = ThrottledError if code in _THROTTLED else UnavailableError
            why = kind(f"Kinesis answered {code}: {answer.get('ErrorMessage', '')}.", next_step="Put it again later.")
            results[place] = PutResult(error_code=why.code, error_message=str(why))
        waiting = refused
    return results


def put_aggregated(api: KinesisApi, records: Sequence[Record]) -> list[PutResult]:
    """As `put_all`, records of one key as one; they share its outcome. Raises PlatformError as it does."""
    places = groups(records)
    one = [
        records[group[0]]
        if len(group) == 1
        else Record(records[group[0]].key, aggregated([records[place] for place in group]))
        for group in places
    ]
    results = [PutResult()] * len(records)
    for group, result in zip(places, put_all(api, one), strict=True):
        for place in group:
            results[place] = result
    return results
