"""``outrider setup``: the commands it prints, run in a shell against a stand-in for the Azure CLI."""

from __future__ import annotations

import itertools
import json
import re
import subprocess

import pytest

from connectors.clouds import CLOUDS
from pipeline.cli.main import main
from pipeline.model.errors import ExitCode
from pipeline.report.setup_wish import CREDENTIALS
from pipeline.runtime.checking.permissions import ACTIVITY_ID, AZURE, GRAPH_ID, NEEDED
from pipeline.runtime.config import load
from pipeline.runtime.config_collect import Collect
from tests.services.entra import CLIENT, TENANT

# Answers as the Azure CLI does with --output tsv, and writes down what it was asked.
AZ = f"""#!/bin/sh
printf '%s\\037' "$@" >> "$AZ_LOG"; printf '\\036' >> "$AZ_LOG"
case "$*" in
  "account show"*) echo {TENANT} ;;
  "ad app create"*) echo {CLIENT} ;;
  *"appRoles["*) echo role-of-$(echo "$*" | sed "s/.*value=='\\([^']*\\)'.*/\\1/") ;;
  "ad sp show"*"--query id"*) echo object-of-$5 ;;
  *"password"*) echo a-secret-of-the-service ;;
  *"[?name=="*) echo "/subscriptions/1/$1" ;;
esac
"""
SOURCES = tuple(Collect.model_fields)


def printed(capsys, *words):
    assert main(["setup", *words]) == ExitCode.OK
    return capsys.readouterr().out


def run(script, folder):
    """Run the printed commands; the calls of ``az``, a list of words each."""
    tools = folder / "bin"
    tools.mkdir()
    (tools / "az").write_text(AZ)
    (tools / "az").chmod(0o755)
    log = folder / "log"
    log.write_text("")
    done = subprocess.run(
        ["sh", "-c", script],
        cwd=folder,
        env={"PATH": f"{tools}:/usr/bin:/bin", "AZ_LOG": str(log), "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return [call.split("\037")[:-1] for call in log.read_text().split("\036")[:-1]]


def after(words, option):
    return words[words.index(option) + 1]


def calls(found, *start):
    return [words for words in found if words[: len(start)] == list(start)]


def test_the_usual_commands_make_an_application_with_just_the_rights_it_needs(capsys, tmp_path):
    found = run(printed(capsys), tmp_path)
    (made,) = calls(found, "ad", "app", "create")
    assert after(made, "--sign-in-audience") == "AzureADMyOrg"
    added = calls(found, "ad", "app", "permission", "add")
    asked = {(after(w, "--api"), after(w, "--api-permissions")) for w in added}
    assert asked == {
        (p.resource, f"{p.role_id}=Role")
        for s in ("graph_signins", "directory_audits", "activity", "service_health")
        for p in NEEDED[s]
    }
    assert {after(w, "--id") for w in added} == {CLIENT}
    assert len(added) == 5  # each once
    assert calls(found, "ad", "app", "permission", "admin-consent")
    (reset,) = calls(found, "ad", "app", "credential", "reset")
    assert after(reset, "--cert") == "@outrider.pem"
    assert (tmp_path / "outrider.key").stat().st_mode & 0o077 == 0
    config = load(tmp_path / "outrider.toml", environ={})
    assert (config.microsoft.tenant, config.microsoft.client_id) == (TENANT, CLIENT)
    assert config.collect.enabled == [
        "graph_signins", "directory_audits", "activity", "service_health", "status_page",
    ]  # fmt: skip


@pytest.mark.parametrize("credential", CREDENTIALS)
@pytest.mark.parametrize("cloud", CLOUDS)
def test_every_cloud_and_credential_gives_commands_that_run_and_a_configuration_that_loads(
    capsys, tmp_path, cloud, credential
):
    sources = [s for s in SOURCES if s != "activity" or CLOUDS[cloud].activity]
    script = printed(
        capsys, "--cloud", cloud, "--credential", credential, "--sources", ",".join(sources)
    )
    found = run(script, tmp_path)
    (chosen,) = calls(found, "cloud", "set")
    assert after(chosen, "--name") == {
        "public": "AzureCloud", "gcc": "AzureCloud", "china": "AzureChinaCloud",
    }.get(cloud, "AzureUSGovernment")  # fmt: skip
    config = load(tmp_path / "outrider.toml", environ={})
    assert config.microsoft.cloud == cloud
    assert config.collect.enabled == sources
    assert config.microsoft.managed_identity is (credential == "managed_identity")
    roles = {after(w, "--role") for w in calls(found, "role", "assignment", "create")}
    assert roles == set(AZURE.values())
    known = cloud in {"public", "gcc"}
    if credential == "managed_identity":
        bodies = [json.loads(after(w, "--body")) for w in calls(found, "rest")]
        assert {after(w, "--resource") for w in calls(found, "rest")} == {CLOUDS[cloud].graph}
        given = {(b["resourceId"].removeprefix("object-of-"), b["appRoleId"]) for b in bodies}
        assert not calls(found, "ad", "app")
    else:
        added = calls(found, "ad", "app", "permission", "add")
        given = {
            (after(w, "--api"), after(w, "--api-permissions").removesuffix("=Role")) for w in added
        }
    # Where the ids were not read in public, they are asked for and never guessed.
    assert given == {
        (p.resource, p.role_id if known else f"role-of-{p.name}")
        for s in sources
        for p in NEEDED.get(s, ())
    }


def test_a_secret_goes_into_a_file_that_nobody_else_may_read(capsys, tmp_path):
    script = printed(capsys, "--credential", "secret", "--sources", "service_health")
    run(script, tmp_path)
    secret = tmp_path / "client-secret"
    assert secret.read_text() == "a-secret-of-the-service\n"
    assert secret.stat().st_mode & 0o077 == 0
    assert load(tmp_path / "outrider.toml", environ={}).microsoft.secret_file == secret


@pytest.mark.parametrize("source", SOURCES)
def test_one_source_asks_for_its_own_rights_and_no_others(capsys, source):
    text = printed(capsys, "--sources", source)
    asked = set(re.findall(r'--api-permissions "(\S+)=Role"', text))
    assert asked == {p.role_id for p in NEEDED.get(source, ())}
    assert (
        {r for r in AZURE.values() if r in text} == {AZURE[source]} & set(AZURE.values())
        if (source in AZURE)
        else not [r for r in AZURE.values() if r in text]
    )
    if source == "status_page":
        assert "az " not in text.split("set -eu")[1]


def test_nothing_is_run_and_no_line_is_too_long_to_read(capsys, monkeypatch):
    for name in ("run", "Popen"):
        monkeypatch.setattr(subprocess, name, lambda *_args, **_more: pytest.fail("ran something"))
    for cloud, credential in itertools.product(("public", "dod"), CREDENTIALS):
        text = printed(capsys, "--cloud", cloud, "--credential", credential, "--sources",
                       ",".join(SOURCES))  # fmt: skip
        for line in text.splitlines():
            if line.startswith("#"):
                assert len(line) <= 80
        # Read, and run, up to the first thing that fails.
        assert "\nset -eu\n" in text


def test_the_permissions_are_of_the_two_resources_and_each_has_an_id_of_its_own():
    every = {p for needed in NEEDED.values() for p in needed}
    assert {p.resource for p in every} == {GRAPH_ID, ACTIVITY_ID}
    assert len({p.role_id for p in every}) == len({p.name for p in every}) == len(every)
    for permission in every:
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", permission.role_id)
        assert re.fullmatch(r"[A-Za-z]+(-[A-Za-z]+)?\.Read(\.All)?", permission.name)  # read only
    assert set(NEEDED) | set(AZURE) | {"status_page"} == set(SOURCES)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--cloud", "mars"), "public, gcc, gcc_high, dod, china"),
        (("--credential", "password"), "certificate, secret"),
        (("--sources", "graph"), "graph_signins"),
        (("--sources", ","), "name one or more"),
        (("--sources", "activity", "--cloud", "china"), "no Management Activity API"),
        (("--tenant", "contoso.example"), "az account show"),
        (("--tenant", "$(reboot)"), "no tenant's id"),
        (("--name", "x; reboot"), "letters, digits"),
    ],
)
def test_what_cannot_be_set_up_is_a_usage_error(capsys, words, told):
    assert main(["setup", *words]) == ExitCode.USAGE
    captured = capsys.readouterr()
    assert told in captured.err
    assert captured.out == ""


def test_in_china_the_usual_sources_are_those_that_are_offered(capsys):
    assert main(["setup", "--cloud", "china"]) == ExitCode.OK
    captured = capsys.readouterr()
    assert "activity is left out" in captured.err
    assert ACTIVITY_ID not in captured.out


def test_a_tenant_that_is_named_is_signed_in_at(capsys):
    assert f"az login --tenant {TENANT} " in printed(capsys, "--tenant", TENANT)
