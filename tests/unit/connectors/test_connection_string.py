"""Connection strings of Event Hubs: each mistake has its own message, and none quotes a key."""

from __future__ import annotations

import pytest

from connectors.sources.connection_string import check_fits, parse_connection_string
from connectors.sources.event_hubs_login import Address, KeyLogin, address_of
from pipeline.model.errors import ConfigError

KEY = "c2VjcmV0LWtleS1vZi10aGUtdGVzdHM="
HOST = "contoso-logs.servicebus.windows.net"
GOOD = f"Endpoint=sb://{HOST}/;SharedAccessKeyName=readers;SharedAccessKey={KEY}"
OF_HUB = f"{GOOD};EntityPath=insights-logs-auditlogs"


def told(text):
    with pytest.raises(ConfigError) as caught:
        parse_connection_string(text, "the string")
    message = str(caught.value)
    assert message.startswith("the string: ")
    assert "Listen" in message
    assert not [word for word in (KEY, "readers", "sig=") if word in message]
    return message


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f"  {GOOD}\n",
        f'"{GOOD}"',
        GOOD.replace("Endpoint", "endpoint").replace("SharedAccessKey=", "sharedaccesskey="),
        f"{GOOD};",
        GOOD.replace("windows.net/", "windows.net:5671/"),
        GOOD.replace("contoso", "Contoso"),
    ],
)
def test_a_string_as_the_portal_gives_it_is_taken_apart(text):
    found = parse_connection_string(text, "the string")
    assert (found.host, found.hub) == (HOST, None)
    assert KEY in found.text
    assert KEY not in repr(found)
    assert found.text == found.text.strip().strip('"'), "blanks around it would be part of the key"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has no Endpoint="),
        (KEY, "has no Endpoint="),
        ("readers", "is no connection string"),
        (GOOD.replace("Endpoint=", ""), "is no connection string"),
        (GOOD.replace("SharedAccessKeyName=readers;", ""), "has no SharedAccessKeyName="),
        (GOOD.replace(KEY, ""), "has no SharedAccessKey="),
        (GOOD.replace("sb://", "https://"), "its Endpoint is not sb://HOST/"),
        (GOOD.replace(f"sb://{HOST}/", "contoso-logs"), "its Endpoint is not sb://HOST/"),
        (GOOD.replace(";", ";\n"), "has line breaks within"),
        (
            f"Endpoint=sb://{HOST}/;SharedAccessSignature=SharedAccessSignature sr=x&sig=y",
            "holds a shared access signature, which the Kafka endpoint does not take",
        ),
        (
            f"DefaultEndpointsProtocol=https;AccountName=contosologs;AccountKey={KEY}",
            "is of a storage account",
        ),
    ],
)
def test_each_mistake_is_told(text, words):
    assert words in told(text)


def test_a_string_of_the_namespace_reads_any_hub():
    string = parse_connection_string(GOOD, "the string")
    check_fits(string, HOST.upper(), ["a", "b"], "the string")


def test_a_string_of_one_hub_reads_that_hub_and_no_other():
    string = parse_connection_string(OF_HUB, "the string")
    assert string.hub == "insights-logs-auditlogs"
    check_fits(string, HOST, ["insights-logs-AuditLogs"], "the string")
    with pytest.raises(ConfigError, match="is for the hub insights-logs-auditlogs alone") as caught:
        check_fits(string, HOST, ["insights-logs-auditlogs", "a", "b"], "the string")
    assert "and a, b is to be read too" in str(caught.value)


def test_a_string_of_another_namespace_is_told_with_both_names():
    string = parse_connection_string(GOOD, "the string")
    with pytest.raises(ConfigError, match=f"is for the namespace {HOST}, and elsewhere"):
        check_fits(string, "elsewhere.servicebus.windows.net", ["a"], "the string")


def test_the_options_of_a_client_show_no_key():
    login = KeyLogin(lambda: OF_HUB)
    options = login.options(Address(HOST, 9093), ["insights-logs-auditlogs"])
    assert options["sasl_plain_password"] == OF_HUB
    assert options["sasl_plain_username"] == "$ConnectionString"
    assert KEY not in repr(options)


@pytest.mark.parametrize(
    ("namespace", "address"),
    [
        ("contoso-logs", f"{HOST}:9093"),
        (HOST, f"{HOST}:9093"),
        (
            "contoso-logs.servicebus.chinacloudapi.cn",
            "contoso-logs.servicebus.chinacloudapi.cn:9093",
        ),
        ("localhost:19093", "localhost:19093"),
        (f"{HOST}:9094", f"{HOST}:9094"),
    ],
)
def test_a_namespace_is_found_by_its_name_or_host(namespace, address):
    assert str(address_of(namespace, "servicebus.windows.net")) == address


@pytest.mark.parametrize("namespace", ["contoso-logs:", "contoso-logs:0", "contoso-logs:99999"])
def test_a_port_that_is_none_is_told(namespace):
    with pytest.raises(ConfigError, match="is a number"):
        address_of(namespace, "servicebus.windows.net")
