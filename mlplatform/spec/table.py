"""`mlplatform.Table`: a warehouse table, its schema, and what loads it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from mlplatform.core.loads.plan import CsvFormat, Format, JsonLinesFormat, ParquetFormat
from mlplatform.core.tables.schema import Column, TableSchema, is_type
from mlplatform.spec.station import Name, StationSpec, Strict


class ColumnSpec(Strict):
    """One column; a record that does not fit is quarantined."""

    name: Name = Field(description="Name in the warehouse and in records.")
    type: str = Field(
        default="varchar", description="varchar, bigint, double, boolean, date, timestamp, json or decimal(p,s)."
    )
    nullable: bool = Field(default=True, description="Whether a record may leave it out.")
    minimum: float | None = Field(default=None, description="Smallest value accepted.")
    maximum: float | None = Field(default=None, examples=[120], description="Largest value accepted.")
    domain: list[str] = Field(
        default_factory=list, examples=[["A", "B"]], description="The only values accepted; empty = any."
    )
    personal: bool = Field(
        default=False,
        examples=[True],
        description="Whether a value says something of a person. Then it is told nowhere but where rows are kept: masked in "
        "checks, logs, messages, listings and captured requests.",
    )
    description: str = Field(
        default="", examples=["Closing price, in US dollars."], description="Shown with the asset's columns."
    )

    @field_validator("type")
    @classmethod
    def _known_type(cls, value: str) -> str:
        if not is_type(value):
            raise ValueError(
                f"'{value}' is no type; expected varchar, bigint, double, boolean, date, timestamp, json or decimal(p,s)"
            )
        return value


class FormatSpec(Strict):
    """How objects are read; a dialect is declared, never sniffed. Keys that end in .gz are gzip."""

    type: Literal["csv", "jsonl", "parquet"] = Field(
        default="csv", examples=["parquet"], description="How objects are encoded."
    )
    delimiter: str = Field(
        default=",", min_length=1, max_length=1, examples=[";"], description="Between two fields of CSV."
    )
    quote: str = Field(
        default='"',
        max_length=1,
        examples=["'"],
        description="Around a field of CSV that holds a delimiter or a line's end.",
    )
    header: bool = Field(default=True, examples=[False], description="Whether CSV begins with the columns' names.")
    null: str = Field(
        default="", examples=["NA"], description="The unquoted text that stands for NULL in CSV; none = an empty field."
    )

    def format(self) -> Format:
        """The loader's form."""
        if self.type == "csv":
            return CsvFormat(
                delimiter=self.delimiter, quote=self.quote, escape=self.quote, header=self.header, null=self.null
            )
        return JsonLinesFormat() if self.type == "jsonl" else ParquetFormat()


class SourceSpec(Strict):
    """Where rows come from: a `stream` of this system (its delivered objects), or objects under a `prefix`."""

    stream: Name | None = Field(
        default=None, description="Name of a stream of this system; its delivered objects are loaded."
    )
    prefix: str | None = Field(default=None, description="Key prefix in the object store, ending in '/'.")
    suffix: str = Field(default="", description="Only keys with this ending, e.g. '.csv'.")
    format: FormatSpec = Field(default_factory=FormatSpec)

    @model_validator(mode="after")
    def _one_of(self) -> SourceSpec:
        if (self.stream is None) == (self.prefix is None):
            raise ValueError("a source has either 'stream' or 'prefix'")
        if self.prefix is not None and not self.prefix.endswith("/"):
            raise ValueError(f"prefix '{self.prefix}' must end in '/', else it also matches its neighbours")
        return self


class TableSpec(StationSpec):
    """A warehouse table with its schema and sources; `existing` names a table somebody else loads (then it is only read)."""

    connection: str = Field(default="warehouse", examples=["analytics"], description="A connection of the profile.")
    columns: list[ColumnSpec] = Field(min_length=1)
    unique_key: list[str] = Field(
        default_factory=list, description="Rows that agree in these columns are one row; later ones are duplicates."
    )
    event_time: str | None = Field(default=None, description="The column that says when the row happened.")
    future_s: float | None = Field(
        default=86400,
        ge=0,
        le=3_153_600_000,
        examples=[3600],
        description="Seconds that an event time (a date or timestamp, in UTC) may be later than its load; what is later still "
        "is quarantined, and no monitor judges it. null = any.",
    )
    sources: list[SourceSpec] = Field(default_factory=list)
    existing: str | None = Field(
        default=None, examples=["sales_daily"], description="Name of a table that others load; no sources then."
    )
    on_changed_object: Literal["refuse", "replace", "append"] = Field(
        default="refuse",
        examples=["replace"],
        description="A known key comes with a new ETag: refuse it, replace its rows, or load only the rows behind the old end (plain CSV and JSON lines, whose old bytes must be unchanged).",
    )
    on_same_content: Literal["refuse", "load"] = Field(
        default="refuse", examples=["load"], description="Known bytes come under a new key."
    )

    retention_days: float | None = Field(
        default=None,
        gt=0,
        examples=[730],
        description="Days a row is kept after its event time, without one after its load, and a record in quarantine; the "
        "worker deletes what is older. null = for ever.",
    )

    @model_validator(mode="after")
    def _columns_exist(self) -> TableSpec:
        names = [c.name for c in self.columns]
        doubled = sorted({n for n in names if names.count(n) > 1})
        if doubled:
            raise ValueError(f"columns {', '.join(doubled)} are declared twice")
        for field, wanted in (
            ("unique_key", self.unique_key),
            ("event_time", [self.event_time] if self.event_time else []),
        ):
            for name in wanted:
                if name not in names:
                    raise ValueError(f"{field}: table '{self.name}' has no column '{name}'; it has: {', '.join(names)}")
        if self.existing and self.sources:
            raise ValueError(f"table '{self.name}' is existing ('{self.existing}') and has sources; remove one of them")
        if self.existing and self.retention_days is not None:
            raise ValueError(
                f"table '{self.name}' is existing ('{self.existing}'): who loads it says how long rows stay"
            )
        if self.event_time in [c.name for c in self.columns if c.personal]:
            raise ValueError(
                f"event_time: receipts tell from when to when rows are, and '{self.event_time}' is personal"
            )
        times = {c.name: c.type for c in self.columns}
        if self.retention_days is not None and self.event_time and times[self.event_time] not in ("date", "timestamp"):
            raise ValueError(
                f"retention_days: event time '{self.event_time}' is a {times[self.event_time]}; expected a date or timestamp"
            )
        return self

    def schema_(self) -> TableSchema:
        """The loader's form."""
        return TableSchema(
            name=self.existing or self.name,
            columns=tuple(
                Column(
                    c.name,
                    c.type,
                    c.nullable,
                    c.minimum,
                    c.maximum,
                    tuple(c.domain),
                    c.description,
                    personal=c.personal,
                )
                for c in self.columns
            ),
            unique_key=tuple(self.unique_key),
            event_time=self.event_time,
            future_s=self.future_s,
        )
