"""SageMaker's search for the jobs of one installation: they have a tag with the address of its object store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from mlplatform.adapters.compute.description import ENDED
from mlplatform.adapters.compute.sagemaker_errors import sagemaker_mapped
from mlplatform.adapters.compute.sagemaker_jobs import TRAINING, Kind, RemoteJobs
from mlplatform.adapters.compute.sagemaker_request import OWNER
from mlplatform.errors import PermissionDeniedError


def jobs_of(client: Any, owner: str, *, running: bool = False, kind: Kind = TRAINING) -> Iterator[dict[str, Any]]:
    """The jobs of `kind` as describing one has them, newest first; `running`: only those that have not ended.

    A new job may be missing for a moment.
    """
    filters = [{"Name": f"Tags.{OWNER}", "Operator": "Equals", "Value": owner}]
    if running:
        filters += [{"Name": kind.status, "Operator": "NotEquals", "Value": end} for end in sorted(ENDED)]
    request: dict[str, Any] = {
        "Resource": kind.label,
        "SearchExpression": {"Filters": filters},
        "SortBy": "CreationTime",
        "SortOrder": "Descending",
        "MaxResults": 100,
    }
    while True:
        with sagemaker_mapped("The list of jobs"):
            page = client.search(**request)
        yield from (result[kind.label] for result in page["Results"])
        if not page.get("NextToken"):
            return
        request["NextToken"] = page["NextToken"]


def running_unsearched(
    jobs: RemoteJobs, client: Any, owner: str, *, on_unseen: Callable[[str], None]
) -> Iterator[dict[str, Any]]:
    """Jobs of a kind that the search does not know, which have not ended and have the owner's tag, with their tags.

    None for who may not list them: `on_unseen` is told why.
    """
    request: dict[str, Any] = {"StatusEquals": "InProgress", "MaxResults": 100}
    while True:
        try:
            with sagemaker_mapped(f"The list of each {jobs.kind.label}"):
                page = getattr(client, f"list_{jobs.kind.calls}s")(**request)
        except PermissionDeniedError as error:
            # Who may make none has none; but who may make some and not list them would not be told of what is paid for.
            on_unseen(str(error))
            return
        for summary in page[f"{jobs.kind.label}Summaries"]:
            with jobs.asked(summary[jobs.kind.name]):
                tags = client.list_tags(ResourceArn=summary[jobs.kind.arn], MaxResults=100)["Tags"]
            if {"Key": OWNER, "Value": owner} in tags:
                yield {**jobs.described(summary[jobs.kind.name]), "Tags": tags}
        if not page.get("NextToken"):
            return
        request["NextToken"] = page["NextToken"]
