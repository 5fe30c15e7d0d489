"""Whose call of AWS is whose, and that one that nobody listed is told with what to do."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from mlplatform_tests.aws_calls import recorder
from mlplatform_tests.aws_calls.actions import actions_of, policy_of
from mlplatform_tests.conformance.item_stores import dynamodb_items
from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.servers.ministack.server import Ministack

__all__ = ["ministack_server"]


def test_a_call_is_that_of_the_adapter_that_made_it(ministack_server: Ministack) -> None:
    # Others' calls may be there: of this suite's own process.
    recorder.CALLED.discard(("item_store: dynamodb", "dynamodb:GetItem"))
    with closing(dynamodb_items(ministack_server, "recorded")) as items:
        assert items.get("a", "b") is None
    assert ("item_store: dynamodb", "dynamodb:GetItem") in recorder.CALLED


@pytest.mark.parametrize(
    ("module", "component"),
    [
        ("mlplatform.adapters.endpoints.sagemaker_invoker", "endpoints: sagemaker"),
        ("mlplatform.adapters.arrivals.s3_events", "arrivals: sqs"),
        ("mlplatform.adapters.stream.firehose_check", "stream: firehose"),
        ("mlplatform.adapters.secrets.secrets_manager", "secrets: secrets_manager"),
        ("mlplatform.adapters.aws.client", None),
        ("mlplatform_tests.adapters.test_kinesis_stream", None),
    ],
)
def test_modules_belong_to_adapters(module: str, component: str | None) -> None:
    assert recorder.component_of(module) == component


def test_what_is_not_listed_is_told_with_what_to_do() -> None:
    new = ("item_store: dynamodb", "dynamodb:DropEverything")
    known = ("item_store: dynamodb", "dynamodb:Query")
    assert recorder.unlisted([new, known]) == [new]
    assert "dynamodb:DropEverything (item_store: dynamodb)" in recorder.told([new])
    assert "MLPLATFORM_RECORD_AWS=yes" in recorder.told([new])


def test_what_is_kept_is_added_to(tmp_path: Path) -> None:
    data = tmp_path / "calls.json"
    data.write_text('{"b": ["s3:PutObject"]}')
    recorder.keep([("b", "s3:GetObject"), ("a", "sns:Publish")], data)
    recorder.keep([("a", "sns:Publish")], data)
    assert recorder.listed(data) == {"a": ["sns:Publish"], "b": ["s3:GetObject", "s3:PutObject"]}
    assert list(tmp_path.iterdir()) == [data]


def test_a_policy_has_what_calls_need_beside_themselves_each_on_its_resource() -> None:
    assert actions_of(["s3:UploadPart", "s3:HeadObject"]) == ["s3:GetObject", "s3:ListBucket", "s3:PutObject"]
    assert policy_of(["s3:HeadObject", "monitoring:PutMetricData"]) == {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": ["cloudwatch:PutMetricData"], "Resource": ["*"]},
            {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::BUCKET/PREFIX/*"]},
            {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": ["arn:aws:s3:::BUCKET"]},
        ],
    }
    with pytest.raises(KeyError, match=r"nowhere:Do: say in .*\.RESOURCES what it is on"):
        policy_of(["nowhere:Do"])
