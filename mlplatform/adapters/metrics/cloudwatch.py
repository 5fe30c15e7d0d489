"""Amazon CloudWatch (https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html).

Metrics lie in one namespace, with the dimensions that they are given. Two alarms tell a topic of SNS's that the worker is silent,
or in trouble; they are put anew at each start, so that they are as this release has them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import Field, model_validator

from mlplatform.adapters.aws.client import AwsSettings
from mlplatform.adapters.aws.errors import aws_mapped
from mlplatform.errors import PermissionDeniedError, PlatformError
from mlplatform.ports.metrics import Measure

MAX_PER_PUT = 500
MAX_DIMENSIONS = 30
_STEPS: dict[type[PlatformError], str] = {
    PermissionDeniedError: "Allow cloudwatch:PutMetricData; for alarms, cloudwatch:PutMetricAlarm too."
}


class CloudWatchSettings(AwsSettings):
    """A connection's settings, as a profile writes them."""

    namespace: str = Field(
        default="mlplatform",
        pattern=r"^[A-Za-z0-9._/#:-]{1,255}$",
        description="Of the metrics; one an installation.",
    )
    every_s: float = Field(
        default=60, ge=1, description="Seconds between two puts; with alarms, at most half of silent_s."
    )
    alarm_topic_arn: str | None = Field(
        default=None, description="SNS's topic that alarms tell; none: no alarms are made."
    )
    silent_s: int = Field(
        default=300,
        ge=60,
        multiple_of=60,
        description="Seconds without a sign of the worker, after which people are told.",
    )

    @model_validator(mode="after")
    def _signs_come_in_time(self) -> CloudWatchSettings:
        if self.alarm_topic_arn is not None and self.every_s > self.silent_s / 2:
            raise ValueError(
                f"every_s: expected at most half of silent_s ({self.silent_s / 2:g}), found {self.every_s:g}: a worker that "
                "lives would be told as silent"
            )
        return self


class CloudWatchMetrics:
    """Implements `ports.metrics.Metrics`; `client_options` are further arguments of ``boto3.client``."""

    def __init__(self, settings: CloudWatchSettings, *, client_options: Mapping[str, Any] | None = None) -> None:
        self._settings = settings
        self.every_s = settings.every_s
        self._client = settings.client("cloudwatch", client_options)

    def put(self, measures: Sequence[Measure], at: datetime) -> None:
        for start in range(0, len(measures), MAX_PER_PUT):
            data = [_datum(measure, at) for measure in measures[start : start + MAX_PER_PUT]]
            with self._mapped():
                self._client.put_metric_data(Namespace=self._settings.namespace, MetricData=data)

    def watch(self, *, beat: str, troubles: str) -> None:
        if self._settings.alarm_topic_arn is None:
            return
        minutes = self._settings.silent_s // 60
        silent = self._alarm(beat, "Sum", "LessThanThreshold", 1, minutes, "breaching")
        silent["AlarmDescription"] = "The worker of mlplatform gives no sign: nothing is delivered, loaded or watched."
        trouble = self._alarm(troubles, "Minimum", "GreaterThanThreshold", 0, minutes, "notBreaching")
        trouble["AlarmDescription"] = "A task of mlplatform's worker keeps failing: 'mlplatform status' says which."
        for alarm in (silent, trouble):
            with self._mapped():
                self._client.put_metric_alarm(**alarm)

    def close(self) -> None:
        """Close the client's connections."""
        self._client.close()

    def _alarm(
        self, metric: str, statistic: str, operator: str, threshold: float, minutes: int, missing: str
    ) -> dict[str, Any]:
        return {
            "AlarmName": f"{self._settings.namespace}-{metric}",
            "Namespace": self._settings.namespace,
            "MetricName": metric,
            "Statistic": statistic,
            "ComparisonOperator": operator,
            "Threshold": threshold,
            "Period": 60,
            "EvaluationPeriods": minutes,
            "DatapointsToAlarm": minutes,
            "TreatMissingData": missing,
            "AlarmActions": [self._settings.alarm_topic_arn],
            "OKActions": [self._settings.alarm_topic_arn],
        }

    def _mapped(self) -> Any:
        return aws_mapped(f"Metrics in namespace '{self._settings.namespace}'", service="CloudWatch", steps=_STEPS)


def _datum(measure: Measure, at: datetime) -> dict[str, Any]:
    return {
        "MetricName": measure.name,
        "Value": measure.value,
        "Unit": "Count",
        "Timestamp": at,
        "Dimensions": [{"Name": n, "Value": v} for n, v in list(measure.dimensions.items())[:MAX_DIMENSIONS]],
    }
