"""Where a HiveServer2 is: a JDBC URL in a secret is understood or refused by name, and no value of it is told."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from mlplatform.adapters.secrets.environment import EnvironmentSecrets
from mlplatform.adapters.warehouse.hive_settings import HiveSettings, access, jdbc_options
from mlplatform.errors import NotFoundError, ProfileError


def url(text: str) -> EnvironmentSecrets:
    return EnvironmentSecrets({"MLPLATFORM_SECRET_HIVE_URL": text, "MLPLATFORM_SECRET_HIVE_PASSWORD": "pass"})


def test_a_jdbc_url_says_host_port_database_and_login() -> None:
    found = access(
        HiveSettings(url_secret="hive_url", authentication="ldap", host="other", user="other", database=""),
        url("jdbc:hive2://hive.example:10001/sales;ssl=true;user=ann;password=a%3Bb;transportMode=binary;"),
    )
    assert (found.host, found.port, found.database) == ("hive.example", 10001, "sales")
    assert (found.user, found.password, found.ssl, found.authentication) == ("ann", "a;b", True, "ldap")


def test_a_url_without_port_and_database_means_the_usual_ones() -> None:
    assert jdbc_options("jdbc:hive2://hive.example", "x") == {"host": "hive.example", "port": "10000"}
    assert jdbc_options("jdbc:hive2://[::1]:1/", "x") == {"host": "::1", "port": "1"}


def test_a_database_of_the_settings_goes_before_that_of_the_url() -> None:
    settings = HiveSettings(url_secret="hive_url", database="mine")
    assert access(settings, url("jdbc:hive2://h:1/theirs")).database == "mine"


def test_no_sasl_in_the_url_is_the_authentication() -> None:
    assert access(HiveSettings(url_secret="hive_url"), url("jdbc:hive2://h:1/;auth=noSasl")).authentication == "nosasl"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("jdbc:hive2://h:1/;pasword=hidden", "unknown option 'pasword'; known are: auth, password, ssl"),
        ("jdbc:hive2://h:1/;transportMode=hidden", "option 'transportMode' may be binary"),
        ("jdbc:hive2://h:1/;ssl=hidden", "option 'ssl' may be true or false"),
        ("jdbc:hive2://h:1/;sslTrustStore=hidden", "'sslTrustStore' cannot be used: Java's own kind of file"),
        ("jdbc:hive2://h:1/;principal=hidden", "'principal' cannot be used: Kerberos is not supported"),
        ("jdbc:hive2://h:1/;serviceDiscoveryMode=hidden", "'serviceDiscoveryMode' cannot be used: it asks ZooKeeper"),
        ("jdbc:hive2://h:1,hidden:2/", "several hosts"),
        ("jdbc:hive2://h:1/?hidden=1", "Hive variables"),
        ("jdbc:hive2://h:hidden/", "expected host:port"),
        ("postgresql://hidden", "begins with jdbc:hive2://"),
    ],
)
def test_what_a_url_cannot_say_is_refused_by_name_and_untold(text: str, message: str) -> None:
    with pytest.raises(ProfileError, match=message) as error:
        access(HiveSettings(url_secret="hive_url"), url(text))
    assert "hive_url" in str(error.value)
    assert "hidden" not in str(error.value)


def test_a_password_is_never_sent_in_the_clear() -> None:
    with pytest.raises(ProfileError, match="LDAP is used without TLS"):
        access(HiveSettings(host="h", authentication="ldap"), url(""))


def test_a_missing_secret_is_named() -> None:
    with pytest.raises(NotFoundError, match="MLPLATFORM_SECRET_HIVE_PASSWORD"):
        access(HiveSettings(host="h", authentication="ldap", ssl=True), EnvironmentSecrets({}))


def test_a_connection_without_a_host_says_what_to_set() -> None:
    with pytest.raises(ProfileError, match=r"needs a host.*url_secret"):
        access(HiveSettings(), EnvironmentSecrets({}))


def test_a_setting_that_is_no_setting_is_refused() -> None:
    with pytest.raises(ValidationError, match="pasword"):
        HiveSettings.model_validate({"host": "h", "pasword": "x"})


def test_a_password_is_not_shown() -> None:
    assert "pass" not in repr(access(HiveSettings(host="h", authentication="ldap", ssl=True), url(""))).replace(
        "password", ""
    )
