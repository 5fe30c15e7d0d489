"""Amazon DynamoDB as item store (https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/).

A table of its own, keyed by `collection` (partition) and `key` (sort); the value is one JSON text beside them, so that
numbers keep every digit, with its version. Reads are strongly consistent.

A write is one conditional update. Where its answer is lost and it is asked again, it finds its own mark on the item, and
is done: neither a false conflict nor a second write, unless another has written in between.
"""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from pydantic import Field

from mlplatform.adapters.aws.client import AwsSettings
from mlplatform.adapters.aws.errors import aws_mapped, error_code
from mlplatform.adapters.item_store.json_value import encoded
from mlplatform.errors import ConflictError, DataError, NotFoundError
from mlplatform.ports.item_store import Item

MAX_ITEM_BYTES = 400 * 1024
MAX_COLLECTION_BYTES = 2048
MAX_KEY_BYTES = 1024
PAGE_ITEMS = 500

_SCHEMA: dict[str, Any] = {
    "KeySchema": [
        {"AttributeName": "collection", "KeyType": "HASH"},
        {"AttributeName": "key", "KeyType": "RANGE"},
    ],
    "AttributeDefinitions": [
        {"AttributeName": "collection", "AttributeType": "S"},
        {"AttributeName": "key", "AttributeType": "S"},
    ],
    "BillingMode": "PAY_PER_REQUEST",
}
# Some of these words are reserved in expressions; a name for each is always right.
_NAMES = {"#c": "collection", "#k": "key", "#v": "version", "#j": "json", "#w": "write"}
_WRITE = "SET #j = :j, #w = :w, #v = if_not_exists(#v, :none) + :one"
_OVERHEAD_BYTES = 512
"""Of an item's size: names of attributes, version and mark, and what DynamoDB counts for the terms of the update."""

T = TypeVar("T")


class DynamoDbSettings(AwsSettings):
    """A connection's settings, as a profile writes them."""

    table: str = Field(min_length=3, max_length=255, description="The table, of this use alone.")
    create: bool = Field(
        default=False, description="Whether the table is made where it is missing (paid by request, not by capacity)."
    )


class DynamoDbItemStore:
    """Items in the table of `settings`; `client_options` are further arguments of ``boto3.client``."""

    def __init__(self, settings: DynamoDbSettings, *, client_options: Mapping[str, Any] | None = None) -> None:
        self.settings = settings
        self._table = settings.table
        self._client = settings.client("dynamodb", client_options)

    def get(self, collection: str, key: str) -> Item | None:
        name = _name(collection, key)
        answer = self._asked(
            f"Item '{collection}/{key}'",
            lambda: self._client.get_item(TableName=self._table, Key=name, ConsistentRead=True),
        )
        return _item(answer["Item"]) if "Item" in answer else None

    def put(self, collection: str, key: str, value: Mapping[str, Any], *, expected_version: int | None = None) -> Item:
        name, text = _name(collection, key), encoded(collection, key, value)
        _check_size(collection, key, text)
        mark = uuid.uuid4().hex
        request: dict[str, Any] = {
            "TableName": self._table,
            "Key": name,
            "UpdateExpression": _WRITE,
            "ConditionExpression": _condition(expected_version),
            "ExpressionAttributeNames": {n: _NAMES[n] for n in ("#j", "#w", "#v")},
            "ExpressionAttributeValues": {
                ":j": {"S": text.decode()},
                ":w": {"S": mark},
                ":none": {"N": "0"},
                ":one": {"N": "1"},
            },
            "ReturnValues": "UPDATED_NEW",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        if expected_version:
            request["ExpressionAttributeValues"][":v"] = {"N": str(expected_version)}
        found = self._asked(f"Item '{collection}/{key}'", lambda: self._updated(request))
        if found.get("write") != {"S": mark}:
            version = int(found["version"]["N"]) if found else 0
            raise ConflictError(
                f"Item '{collection}/{key}' is at version {version}; expected {expected_version} (0 = none).",
                next_step="Read it again and decide anew.",
            )
        return Item(key, json.loads(text), int(found["version"]["N"]))

    def delete(self, collection: str, key: str) -> None:
        name = _name(collection, key)
        self._asked(f"Item '{collection}/{key}'", lambda: self._client.delete_item(TableName=self._table, Key=name))

    def list(self, collection: str, *, prefix: str = "", after: str = "", limit: int | None = None) -> Iterator[Item]:
        left = limit
        request = self._query(collection, prefix, after)
        while left is None or left > 0:
            request["Limit"] = PAGE_ITEMS if left is None else min(left, PAGE_ITEMS)
            page = self._asked(f"Collection '{collection}'", lambda: self._client.query(**request))
            for found in page["Items"]:
                item = _item(found)
                if not item.key.startswith(prefix):
                    return
                yield item
            if "LastEvaluatedKey" not in page:
                return
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]
            left = None if left is None else left - len(page["Items"])

    def close(self) -> None:
        """Close the client's connections."""
        self._client.close()

    def _query(self, collection: str, prefix: str, after: str) -> dict[str, Any]:
        """A query takes one condition on the key: where both are asked, keys of the prefix end before others come."""
        condition, values, names = "#c = :c", {":c": {"S": collection}}, {"#c": _NAMES["#c"]}
        if after >= prefix and after:
            condition, values[":a"] = f"{condition} AND #k > :a", {"S": after}
        elif prefix:
            condition, values[":p"] = f"{condition} AND begins_with(#k, :p)", {"S": prefix}
        if after or prefix:
            names["#k"] = _NAMES["#k"]
        return {
            "TableName": self._table,
            "ConsistentRead": True,
            "KeyConditionExpression": condition,
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values,
        }

    def _updated(self, request: dict[str, Any]) -> dict[str, Any]:
        """The item's attributes after the update; where its condition failed, those that are there instead."""
        from botocore.exceptions import ClientError

        try:
            answer: Any = self._client.update_item(**request)["Attributes"]
        except ClientError as error:
            if error_code(error) != "ConditionalCheckFailedException":
                raise
            answer = error.response.get("Item", {})
        found: dict[str, Any] = answer
        return found

    def _asked(self, what: str, ask: Callable[[], T]) -> T:
        """What `ask` answers; the table is made first where it is missing and may be."""
        where = f"{what} in DynamoDB's table '{self._table}'"
        step = "Make the table, or let it be made by 'create: true' in the connection's settings."
        with aws_mapped(
            where, service="DynamoDB", kinds={"ValidationException": DataError}, steps={NotFoundError: step}
        ):
            try:
                return ask()
            except self._client.exceptions.ResourceNotFoundException:
                if not self.settings.create:
                    raise
                self._create()
            return ask()

    def _create(self) -> None:
        # In use: another process makes it.
        with contextlib.suppress(self._client.exceptions.ResourceInUseException):
            self._client.create_table(TableName=self._table, **_SCHEMA)
        self._client.get_waiter("table_exists").wait(
            TableName=self._table, WaiterConfig={"Delay": 1, "MaxAttempts": 120}
        )


def _condition(expected_version: int | None) -> str:
    if expected_version is None:
        return "attribute_not_exists(#w) OR #w <> :w"
    return "#v = :v" if expected_version else "attribute_not_exists(#v)"


def _name(collection: str, key: str) -> dict[str, Any]:
    _check_text("collection", collection, MAX_COLLECTION_BYTES)
    _check_text("key", key, MAX_KEY_BYTES)
    return {"collection": {"S": collection}, "key": {"S": key}}


def _check_text(what: str, text: str, limit: int) -> None:
    try:
        size_bytes = len(text.encode())
    except UnicodeEncodeError as error:
        raise DataError(f"A {what} of an item is no text: {text[:80]!r}.") from error
    if not 0 < size_bytes <= limit:
        raise DataError(f"DynamoDB takes a {what} of 1 to {limit} bytes, found {size_bytes}: '{text[:80]}'.")


def _check_size(collection: str, key: str, text: bytes) -> None:
    size_bytes = len(text) + len(collection.encode()) + len(key.encode()) + _OVERHEAD_BYTES
    if size_bytes > MAX_ITEM_BYTES:
        raise DataError(
            f"Item '{collection}/{key}' has {size_bytes} bytes; DynamoDB takes {MAX_ITEM_BYTES}.",
            next_step="Keep what is large in the object store, and its key in the item.",
        )


def _item(found: Mapping[str, Any]) -> Item:
    return Item(found["key"]["S"], json.loads(found["json"]["S"]), int(found["version"]["N"]))
