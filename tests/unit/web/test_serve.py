"""The command on the ledger of a run: it starts, answers, and ends when it is asked to."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess

import pytest

from pipeline.cli.main import main
from pipeline.ledger.store import Ledger
from pipeline.model.errors import ExitCode
from tests.unit.web.serving import fill
from tests.warm import OUTRIDER

COMMAND = [*OUTRIDER, "serve"]


def test_it_serves_while_a_run_writes_and_stops_when_asked(tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.hold()  # as a run does
    arguments = ["--state", str(tmp_path), "--bind", "127.0.0.1:0"]
    process = subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        host = process.stdout.readline().split("/")[2]
        connection = http.client.HTTPConnection(host, timeout=30)
        for wanted in (0, 12):
            connection.request("GET", "/api/v1/incidents")
            assert len(json.loads(connection.getresponse().read())["items"]) == wanted
            if not wanted:
                fill(ledger)
        process.send_signal(signal.SIGTERM)  # the connection is still open
        _, log = process.communicate(timeout=30)
        connection.close()
        assert process.returncode == ExitCode.OK
        told = json.loads(log.splitlines()[-1])
        assert (told["event"], told["outcome"], told["mode"]) == ("serve", "ok", "embedded")
        assert "Traceback" not in log
    finally:
        process.kill()
        process.communicate()
        ledger.close()


def test_a_folder_without_a_ledger_is_named(tmp_path, capsys):
    assert main(["serve", "--state", str(tmp_path / "none")]) == ExitCode.USAGE
    assert "no ledger here" in capsys.readouterr().err


@pytest.mark.parametrize("bind", ["0.0.0.0:0", "nowhere", "127.0.0.1:99999"])  # it is refused
def test_an_address_that_is_none_or_open_to_all_is_refused(tmp_path, capsys, bind):
    Ledger(tmp_path / "ledger.sqlite").close()
    assert main(["serve", "--state", str(tmp_path), "--bind", bind]) == ExitCode.USAGE
    assert bind.split(":", maxsplit=1)[0] in capsys.readouterr().err


def test_with_kafka_nobody_writes_in_the_pages(tmp_path, capsys):
    config = tmp_path / "outrider.toml"
    config.write_text('[kafka]\nservers = ["127.0.0.1:9"]\n[serve]\nwrite = true\n')
    arguments = ["--state", str(tmp_path), "--bind", "127.0.0.1:0", "--config", str(config)]
    assert main(["serve", *arguments]) == ExitCode.USAGE
    assert "serve.write" in capsys.readouterr().err


def test_it_serves_pages_over_tls(tmp_path):
    import ssl

    import trustme

    authority = trustme.CA()
    made = authority.issue_cert("localhost", "127.0.0.1")
    made.private_key_pem.write_to_path(tmp_path / "key.pem")
    made.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    Ledger(tmp_path / "ledger.sqlite").close()
    config = tmp_path / "outrider.toml"
    config.write_text(
        f'[serve]\ncertificate_file = "{tmp_path}/cert.pem"\nkey_file = "{tmp_path}/key.pem"\n'
    )
    arguments = ["--state", str(tmp_path), "--bind", "127.0.0.1:0", "--config", str(config)]
    process = subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        address = process.stdout.readline()
        assert address.startswith("https://")
        trust = ssl.create_default_context()
        authority.configure_trust(trust)
        host = address.split("/")[2]
        connection = http.client.HTTPSConnection(host, timeout=30, context=trust)
        connection.request("GET", "/", headers={"Accept": "text/html"})
        answer = connection.getresponse()
        assert answer.status == 200
        assert b"Nothing has been judged yet" in answer.read()
        connection.close()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        assert process.returncode == ExitCode.OK
    finally:
        process.kill()
        process.communicate()
