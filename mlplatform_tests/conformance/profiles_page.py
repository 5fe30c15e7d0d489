"""``python -m mlplatform_tests.conformance.profiles_page docs/profiles.md``: what is proved where, and the permissions it takes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mlplatform.cli.tables import GENERATED
from mlplatform_tests.aws_calls.actions import policy_of
from mlplatform_tests.aws_calls.identities import TRIED
from mlplatform_tests.aws_calls.recorder import listed
from mlplatform_tests.conformance.proofs import PROOFS, Proof

ON_AWS = "    MLPLATFORM_TEST_AWS=yes make test-aws\n"
_INTRODUCTION = """\
A [profile](reference/connections.md) says which adapter does the work of each port; the `defs.yaml` does not change. The profiles
`local` and `aws` come with the package. This page says on which servers each adapter was shown to do what its port promises, what
such servers cannot show, and what an adapter may ask of AWS.
"""
_PROVED = """\
A file below `conformance/` is the suite of a port and runs over all its adapters; where there is none (arrivals, metrics, asset
events: ports of one adapter), the tests are the adapter's own. Every test below runs without AWS (`make test-all`). What
has a file in the last column is shown on AWS itself too, as far as that file goes, by

{on_aws}
with the profile's variables and credentials ([more](how-to/aws-services.md#proved-where)); without them it is skipped, and says why. No
release of this package has been run there by its makers yet.
"""
_PERMISSIONS = """\
The least that an identity needs for each adapter, as a policy. The calls are recorded while the tests above run, so an adapter that
asks for something else fails its tests until this page says it. What stands in capitals is yours: with the profile `aws`, `BUCKET`
is `MLPLATFORM_BUCKET`, `TABLE` is `MLPLATFORM_TABLE`, and so on, without slashes at the ends. Who runs the platform (worker, runs, commands) needs those of all
its connections. What only serves `create` (`sqs:CreateQueue`, `dynamodb:CreateTable`, `kinesis:CreateStream`, `s3:PutBucketNotification` and the
like) may be left out where those things are made otherwise, with `create: false`. Own KMS keys ask for `kms:Decrypt` and
`kms:GenerateDataKey` beside.

Roles that a service takes on are another matter: of [jobs](how-to/sagemaker.md), [endpoints](how-to/sagemaker-endpoints.md) and
[Redshift](how-to/redshift.md) on their pages; Firehose's reads the stream, writes `BUCKET/PREFIX/*` and may call the function.
Not recorded, since they ask by themselves: DuckDB, which a team's DuckLake reads and writes its bucket by (`s3:GetObject`,
`s3:PutObject`, `s3:DeleteObject`, `s3:ListBucket`, `s3:AbortMultipartUpload`), and MLflow's client, whose calls to a server that
SageMaker manages AWS's plugin signs ([below](#tracking-mlflow-managed-by-sagemaker)).

A local IAM tries these policies on ministack, each with nothing beside it: {tried}. It is asked about ministack's services only, so
the others are as recorded, and nobody but AWS has tried them: {untried}.
"""
_SIGNED = "tracking: mlflow, managed by SageMaker"
_BY_ITSELF = """\
By itself, on the server's ARN (a tracking server's or an `mlflow-app`'s), beside what the tracker's own policy has for the bucket of its
artifacts:
"""
_SIGNED_POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": ["sagemaker-mlflow:*"],
            "Resource": ["arn:aws:sagemaker:REGION:ACCOUNT:mlflow-tracking-server/SERVER"],
        }
    ],
}


def page() -> str:
    """The page's text."""
    table = _table(
        ["port", "adapter", "shown on", "tests", "only AWS shows", "on AWS"],
        [_row(proof) for proof in PROOFS],
    )
    parts = [
        f"# Profiles\n\n{GENERATED}\n{_INTRODUCTION}",
        f"## What is proved where\n\n{_PROVED.format(on_aws=ON_AWS)}\n{table}",
        f"## Permissions on AWS\n\n{_PERMISSIONS.format(tried=_named(TRIED), untried=_named(set(listed()) - TRIED))}",
    ]
    for component, calls in listed().items():
        policy = _policy(policy_of(calls))
        parts.append(f"### {component}\n\n```json\n{policy}\n```\n")
        if component == "tracking: mlflow":
            parts.append(f"### {_SIGNED}\n\n{_BY_ITSELF}\n```json\n{_policy(_SIGNED_POLICY)}\n```\n")
    return "\n".join(parts)


def _named(components: Iterable[str]) -> str:
    return ", ".join(f"`{component}`" for component in sorted(components))


def _row(proof: Proof) -> list[str]:
    tests = ", ".join(f"`{name}`" for name in proof.tests)
    return [
        proof.port,
        f"`{proof.adapter}`" if " " not in proof.adapter else proof.adapter,
        proof.shown_on or "itself",
        tests,
        proof.only_aws,
        f"`{proof.on_aws}`" if proof.on_aws else "",
    ]


def _policy(policy: dict[str, Any]) -> str:
    """JSON with a line an action's list: as one reads it."""
    lines = ",\n".join(f"    {json.dumps(statement)}" for statement in policy["Statement"])
    return f'{{\n  "Version": "{policy["Version"]}",\n  "Statement": [\n{lines}\n  ]\n}}'


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), "utf-8")
