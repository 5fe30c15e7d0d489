"""What HiveServer2's messages become: by SQLSTATE and condition, without Java's names, the query or its stack."""

from __future__ import annotations

import pytest

from mlplatform.adapters.warehouse.hive_errors import (
    FilesGoneError,
    MissingError,
    RefusedError,
    SessionLostError,
    shown,
    statement_error,
)
from mlplatform.errors import BugError, PermissionDeniedError, PlatformError, UnavailableError

CAST = (
    "org.apache.hive.service.cli.HiveSQLException: Error running query: [CAST_INVALID_INPUT] "
    "org.apache.spark.SparkNumberFormatException: [CAST_INVALID_INPUT] The value 'a' of the type \"STRING\" cannot be "
    "cast to \"BIGINT\" because it is malformed. SQLSTATE: 22018\n== SQL (line 1, position 8) ==\nSELECT CAST('a' AS "
    "bigint)\n       ^^^\n\n\tat org.apache.spark.sql.hive.thriftserver.X.y(X.scala:43)"
)


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (CAST, RefusedError),
        (
            "[TASK_WRITE_FAILED] writing failed. SQLSTATE: 58030 Caused by: [DIVIDE_BY_ZERO] SQLSTATE: 22012",
            RefusedError,
        ),
        ("[PARSE_SYNTAX_ERROR] Syntax error at or near 'SELEC'. SQLSTATE: 42601 (line 1, pos 0)", RefusedError),
        ("[INSUFFICIENT_PERMISSIONS] Insufficient privileges SQLSTATE: 42501", PermissionDeniedError),
        ("java.nio.file.AccessDeniedException: s3a://b/k: Forbidden", PermissionDeniedError),
        ("org.apache.hadoop.security.AccessControlException: Permission denied: user=x", PermissionDeniedError),
        ("[FAILED_READ_FILE.FILE_NOT_EXIST] Encountered error SQLSTATE: KD001", FilesGoneError),
        ("[PATH_NOT_FOUND] Path does not exist: file:/x. SQLSTATE: 42K03", FilesGoneError),
        ("Invalid SessionHandle: SessionHandle [1]", SessionLostError),
        ("java.lang.OutOfMemoryError: Java heap space", UnavailableError),
        ("[INTERNAL_ERROR] broken SQLSTATE: XX000", BugError),
    ],
)
def test_a_message_is_the_error_that_its_state_says(message: str, kind: type[PlatformError]) -> None:
    error = statement_error(message, "The query")
    assert type(error) is kind
    assert str(error).startswith("The query: ")


@pytest.mark.parametrize(
    ("message", "kind", "name"),
    [
        ("[TABLE_OR_VIEW_NOT_FOUND] The table or view `s`.`no``pe` cannot be found. SQLSTATE: 42P01", "table", "no`pe"),
        (
            "[UNRESOLVED_COLUMN.WITH_SUGGESTION] A column, variable, or function parameter with name `t`.`prize` cannot "
            "be resolved. Did you mean one of the following? [`price`]. SQLSTATE: 42703",
            "column",
            "prize",
        ),
    ],
)
def test_what_is_not_there_is_named_without_what_qualifies_it(message: str, kind: str, name: str) -> None:
    error = statement_error(message, "The query")
    assert isinstance(error, MissingError)
    assert (error.kind, error.name) == (kind, name)


def test_what_is_shown_is_the_servers_sentence_alone() -> None:
    assert shown(CAST) == (
        'CAST_INVALID_INPUT: The value \'a\' of the type "STRING" cannot be cast to "BIGINT" because it is malformed. '
        "SQLSTATE: 22018"
    )


def test_a_masked_error_tells_no_value() -> None:
    error = statement_error(CAST, "The query", masked=True)
    assert "'a'" not in str(error)
    assert "is not told" in str(error)
