"""The section about the brokers: what fits together, what is refused, and what is remarked on."""

from __future__ import annotations

import os

import pytest

from connectors.kafka.hidden import Hidden
from pipeline.cli.main import run
from pipeline.model.errors import ConfigError
from pipeline.runtime.config import Kafka, load
from pipeline.runtime.config_kafka import host_of, is_loopback
from pipeline.runtime.kafka.client import common
from pipeline.runtime.kafka.remarks import _SAID, remark
from pipeline.runtime.kafka.tokens import identity, tokens
from pipeline.runtime.secret_files import read_secret

SECRET_FILE = {"secret_file": "s"}
FEDERATED = {"federated_token_file": "f"}
OAUTH = {"tenant": "contoso.example", "client_id": "app", "scope": "api://kafka/.default"}


def kafka(tmp_path, text):
    path = tmp_path / "outrider.toml"
    path.write_text(f"[kafka]\n{text}\n")
    return load(path, environ={}).kafka


def problem(tmp_path, text):
    with pytest.raises(ConfigError) as caught:
        kafka(tmp_path, text)
    message = str(caught.value)
    assert "outrider.toml: line" in message
    assert "\n" not in message
    return message


def oauth(**changed):
    keys = {**OAUTH, **changed}
    lines = [f"{k} = {v if v in {'true', 'false'} else repr(v)}" for k, v in keys.items() if v]
    head = 'servers = ["k.example.net:9093"]\nsecurity = "SASL_SSL"\n'
    return "\n".join([head + 'sasl_mechanism = "OAUTHBEARER"\n[kafka.oauth]', *lines])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('security = "SASL_SSL"', "username is missing: SCRAM-SHA-512 needs it"),
        ('security = "SASL_SSL"\nsasl_mechanism = "PLAIN"', "username is missing: PLAIN"),
        ('security = "SSL"\ncertificate_file = "a.pem"', "go together; name both"),
        ('security = "SSL"\ncertificate_key_file = "a.key"', "go together; name both"),
        (
            'security = "SASL_PLAINTEXT"\nusername = "u"\nservers = ["k.example.net:9092"]',
            "readable to k.example.net:9092; use SASL_SSL, or set allow_cleartext = true",
        ),
        (oauth(scope=None), "oauth.scope is missing"),
        (oauth(scope="api://kafka"), "oauth.scope must end with /.default"),
        (oauth(client_id=None), "oauth.client_id is missing"),
        (oauth(tenant=None), "oauth.tenant is missing"),
        (oauth(certificate_file="a.pem"), "go together; name both"),
        (
            oauth(**SECRET_FILE, **FEDERATED),
            "secret_file and federated_token_file contradict each other; keep one",
        ),
        (oauth(**SECRET_FILE, managed_identity="true"), "contradict each other"),
        (oauth(authority="http://login.example.net"), "must be https://HOST, without a path"),
        (oauth(authority="https://login.example.net/x"), "must be https://HOST, without a path"),
        ('servers = ["k.example.net"]', "write each broker as HOST:PORT"),
        ('servers = ["k.example.net:0"]', "write each broker as HOST:PORT"),
        ('servers = ["::1:9092"]', "write each broker as HOST:PORT"),
        ('servers = ["SASL_SSL://k.example.net:9093"]', "write each broker as HOST:PORT"),
    ],
)
def test_keys_that_do_not_fit_are_refused_when_they_are_read(tmp_path, text, says):
    assert says in problem(tmp_path, text)


@pytest.mark.parametrize("host", ["127.0.0.1:9092", "localhost:9092", "[::1]:9092", "127.8.0.1:1"])
def test_passwords_may_go_readable_to_this_machine(tmp_path, host):
    text = f'security = "SASL_PLAINTEXT"\nusername = "u"\nservers = ["{host}"]'
    assert is_loopback(host_of(kafka(tmp_path, text).servers[0]))


def test_passwords_go_readable_over_a_network_only_where_that_is_wanted(tmp_path):
    text = 'security = "SASL_PLAINTEXT"\nusername = "u"\nservers = ["k.example.net:9092"]\n'
    config = kafka(tmp_path, f"{text}allow_cleartext = true")
    (told,) = config.remarks()
    assert "everything is readable on the way to k.example.net:9092; use SASL_SSL" in told


def test_a_machine_of_azure_needs_neither_tenant_nor_application(tmp_path):
    config = kafka(tmp_path, oauth(tenant=None, client_id=None, managed_identity="true"))
    assert config.tokens


def test_nothing_turns_the_checks_of_certificates_off():
    words = ("verify", "insecure", "check_host", "skip")
    assert not [k for k in Kafka.model_fields if any(w in k for w in words)]


def test_keys_without_effect_and_open_files_are_remarked_on(tmp_path):
    config = kafka(tmp_path, 'servers = ["127.0.0.1:1"]\nca_file = "a.pem"')
    assert config.remarks() == [
        "kafka.ca_file is set and not used, since kafka.security is PLAINTEXT"
    ]
    secret = tmp_path / "secret"
    secret.write_text("x")
    secret.chmod(0o644)
    text = f'security = "SASL_SSL"\nusername = "u"\npassword_file = "{secret}"'
    (told,) = kafka(tmp_path, text).remarks()
    assert f"chmod o-r {secret}" in told
    secret.chmod(0o640)
    assert kafka(tmp_path, text).remarks() == []


def test_a_remark_is_logged_once_a_process(tmp_path, log_lines):
    _SAID.clear()
    config = kafka(tmp_path, 'servers = ["k.example.net:9092"]')
    remark(config)
    remark(config)
    assert [line["log_level"] for line in log_lines] == ["warning"]
    assert "everything is readable" in log_lines[0]["remark"]


@pytest.fixture
def log_lines():
    from structlog.testing import capture_logs

    with capture_logs() as lines:
        yield lines


def test_remarks_are_told_by_validate(tmp_path, monkeypatch, capsys):
    kafka(tmp_path, 'servers = ["k.example.net:9092"]')
    path = str(tmp_path / "outrider.toml")
    monkeypatch.setattr("sys.argv", ["outrider", "config", "validate", path])
    with pytest.raises(SystemExit) as caught:
        run()
    shown = capsys.readouterr()
    assert caught.value.code == 0
    assert shown.out.endswith("ok\n")
    assert "kafka.security is PLAINTEXT" in shown.err


def secret_of(path, variable="OUTRIDER_KAFKA_PASSWORD"):
    return read_secret(path, variable, "the password of Kafka", "kafka.password_file")


@pytest.mark.parametrize(
    ("content", "secret"),
    [(b"s3cret", "s3cret"), (b"s3cret\n", "s3cret"), (b"s\r\n", "s"), (b" s \n\n", " s \n")],
)
def test_a_secret_is_the_file_without_its_last_newline(tmp_path, content, secret):
    path = tmp_path / "secret"
    path.write_bytes(content)
    assert secret_of(path) == secret


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "the file is empty"),
        (b"\n", "the file is empty"),
        (b"x" * 70_000, "the file is too large"),
        (b"\xff\xfe", "is no UTF-8 text"),
        (None, "cannot be read: No such file"),
    ],
)
def test_a_file_that_holds_no_secret_is_named(tmp_path, content, says):
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=says) as caught:
        secret_of(path)
    assert str(path) in str(caught.value)


def test_a_secret_may_come_from_the_environment_and_a_file_goes_first(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match=r"kafka\.password_file, or set OUTRIDER_KAFKA_PASSWORD"):
        secret_of(None)
    monkeypatch.setenv("OUTRIDER_KAFKA_PASSWORD", "of the environment")
    assert secret_of(None) == "of the environment"
    path = tmp_path / "secret"
    path.write_text("of the file")
    assert secret_of(path) == "of the file"


def test_variables_of_secrets_set_no_keys():
    environ = {"OUTRIDER_KAFKA_PASSWORD": "x", "OUTRIDER_KAFKA_CLIENT_SECRET": "y"}
    assert load(environ=environ).kafka == Kafka()


def test_a_hidden_text_is_itself_and_shows_nothing():
    hidden = Hidden("s3cret")
    assert hidden == "s3cret"
    assert "s3cret" not in f"{[hidden]} {hidden!r}"


@pytest.mark.parametrize("name", ["ca_file", "certificate_file"])
def test_a_broken_file_of_certificates_is_found_before_a_broker_is_asked(tmp_path, name):
    path = tmp_path / "broken.pem"
    path.write_text("no certificate")
    more = {"certificate_key_file": path} if name == "certificate_file" else {}
    config = Kafka(servers=["127.0.0.1:1"], security="SSL", **{name: path, **more})
    with pytest.raises(ConfigError, match=r"broken\.pem: holds no"):
        common(config)
    path.unlink()
    with pytest.raises(ConfigError, match=r"broken\.pem: cannot be read"):
        common(config)


def test_clients_of_a_process_share_one_identity(tmp_path):
    identity.cache_clear()
    config = kafka(tmp_path, oauth(secret_file=os.devnull))
    assert identity(config.oauth) is identity(config.oauth)
    with pytest.raises(ConfigError, match=f"{os.devnull}: the client secret should stand here"):
        tokens(config.oauth)
