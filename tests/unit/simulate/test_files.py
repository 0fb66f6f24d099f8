"""What lands on disk: forms, determinism, duplicates, damage."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
from collections import Counter
from datetime import datetime

import pytest
import zstandard

from pipeline.model.errors import ConfigError
from pipeline.simulate import spec as specs
from pipeline.simulate.formats import damage
from pipeline.simulate.run import simulate
from pipeline.simulate.spec import SimulationSpec

SMALL = {"users": 30, "weeks": 1, "dirty": False}


def read(path):
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = gzip.decompress(data)
    elif path.suffix == ".zst":
        data = zstandard.ZstdDecompressor().decompressobj().decompress(data)
    return data.decode()


def texts(folder):
    return [read(p) for p in sorted(folder.rglob("*")) if p.is_file()]


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def digest(folder):
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def test_same_spec_same_bytes(tmp_path):
    spec = SimulationSpec(scenarios=("ex1256020", "retry_storm"), users=20, weeks=2)
    simulate(spec, tmp_path / "a")
    simulate(spec, tmp_path / "b")
    assert digest(tmp_path / "a") == digest(tmp_path / "b")


def test_another_seed_gives_other_bytes(tmp_path):
    for seed in (1, 2):
        simulate(SimulationSpec(seed=seed, **SMALL), tmp_path / str(seed))
    left, right = digest(tmp_path / "1"), digest(tmp_path / "2")
    common = [n for n in left if n.startswith("audit") and n in right]
    assert common
    assert all(left[n] != right[n] for n in common)


def signins(form, text):
    if form == "eventhub":
        return [r["properties"] for line in text.splitlines() for r in json.loads(line)["records"]]
    if form == "storage_blob":
        return [json.loads(line)["properties"] for line in text.splitlines()]
    if form == "jsonl":
        return [json.loads(line) for line in text.splitlines()]
    return json.loads(text)["value"]


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("form", ["eventhub", "storage_blob", "jsonl", "graph_beta", "graph_v1"])
def test_signin_json_forms(tmp_path, form, full):
    spec = SimulationSpec(signin_form=form, full_records=full, without=("audit",), **SMALL)
    result = simulate(spec, tmp_path)
    found = [r for t in texts(tmp_path / "signins") for r in signins(form, t)]
    assert len(found) == result.records["signins"]
    needed = {"id", "createdDateTime", "appId", "status", "resourceId", "userId", "isInteractive"}
    for record in found:
        assert needed <= record.keys()
        datetime.fromisoformat(record["createdDateTime"])
    size = len(json.dumps(found[0], separators=(",", ":")))
    assert (2500 < size < 5500) if full else (size < 1000)
    kinds = {bool(r["isInteractive"]) for r in found}
    assert kinds == ({True} if form == "graph_v1" else {True, False})
    assert ("userAgent" in json.dumps(found)) == (form != "graph_v1")
    assert not (tmp_path / "audit").exists()


def test_envelope_time_is_the_delivery(tmp_path):
    simulate(SimulationSpec(compression="none", without=("audit",), **SMALL), tmp_path)
    for text in texts(tmp_path / "signins"):
        for line in text.splitlines():
            for record in json.loads(line)["records"]:
                delivered = datetime.fromisoformat(record["time"])
                happened = datetime.fromisoformat(record["properties"]["createdDateTime"])
                assert 55 < (delivered - happened).total_seconds() < 3 * 3600


@pytest.mark.parametrize(
    ("form", "column"),
    [("log_analytics_csv", "CreatedDateTime"), ("portal_csv", "Date (UTC)")],
)
def test_signin_csv_forms(tmp_path, form, column):
    spec = SimulationSpec(signin_form=form, compression="none", without=("audit",), **SMALL)
    result = simulate(spec, tmp_path)
    found = [r for t in texts(tmp_path / "signins") for r in rows(t)]
    assert len(found) == result.records["signins"]
    for row in found:
        assert None not in row
        assert None not in row.values()
        datetime.fromisoformat(row[column])
    if form == "portal_csv":
        assert {"Application ID ", "Resource ID ", "Autonomous system  number"} <= found[0].keys()
        assert {"Success", "Failure", "Interrupted"} >= {r["Status"] for r in found}
    else:
        assert all(json.loads(r["Status"])["errorCode"] == int(r["ResultType"]) for r in found)


def audit(form, text):
    if form == "activity_api":
        return json.loads(text)
    if form == "jsonl":
        return [json.loads(line) for line in text.splitlines()]
    if form == "graph_query":
        return [r["auditData"] for r in json.loads(text)["value"]]
    return [json.loads(r["AuditData"]) for r in rows(text)]


@pytest.mark.parametrize(
    "form", ["activity_api", "jsonl", "purview_csv", "search_ual_csv", "graph_query"]
)
@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_audit_forms(tmp_path, form, compression):
    spec = SimulationSpec(audit_form=form, compression=compression, without=("signins",), **SMALL)
    simulate(spec, tmp_path)
    found = [r for t in texts(tmp_path / "audit") for r in audit(form, t)]
    assert len(found) > 2000
    for record in found:
        assert not record["CreationTime"].endswith("Z")
        datetime.fromisoformat(record["CreationTime"])
        assert record["MailboxGuid"]
    access = [r for r in found if r["Operation"] == "MailItemsAccessed"]
    kinds = {(r["RecordType"], r["OperationProperties"][0]["Value"]) for r in access}
    assert kinds == {(2, "Sync"), (50, "Bind")}
    assert all("OperationCount" in r for r in access if r["RecordType"] == 50)
    synced = {r["ClientInfoString"][:20] for r in access if r["RecordType"] == 2}
    assert all(s.startswith("Client=MSExchangeRPC") or "Mac" in s or "REST" in s for s in synced)


def test_audit_log_never_tells_of_a_failure(tmp_path):
    spec = SimulationSpec(
        scenarios=("ex1256020", "all_protocols"), users=30, weeks=2, dirty=False,
        without=("signins",),
    )  # fmt: skip
    simulate(spec, tmp_path)
    found = Counter(
        r["ResultStatus"] for t in texts(tmp_path / "audit") for r in audit("activity_api", t)
    )
    assert set(found) == {"Succeeded"}


def test_client_strings_have_the_forms_of_the_log(tmp_path):
    simulate(SimulationSpec(users=300, weeks=1, dirty=False, without=("signins",)), tmp_path)
    seen = {
        r["ClientInfoString"] for t in texts(tmp_path / "audit") for r in audit("activity_api", t)
    }
    for start in (
        "Client=OutlookService;Outlook-iOS/2.0;",
        "Client=OutlookService;Outlook-Android/2.0;",
        "Client=MSExchangeRPC",
        "Client=POP3/IMAP4;Protocol=IMAP4",
        "Client=ActiveSync;UserAgent=",
        "Client=REST;Client=RESTSystem;;",
        "Client=REST;MacOutlook/",
        "Client=OWA;Mozilla/5.0",
    ):
        assert any(s.startswith(start) for s in seen), start
    assert not any("{user}" in s or "{device}" in s for s in seen)


def test_damage_shows_and_stays_inside_its_record(tmp_path, monkeypatch):
    monkeypatch.setattr(damage, "RATE", 0.02)
    spec = SimulationSpec(users=30, weeks=1, signin_form="jsonl", compression="none")
    simulate(spec, tmp_path)
    broken = fine = odd = 0
    for text in texts(tmp_path / "signins"):
        for line in text.removesuffix("\n").split("\n"):
            try:
                record = json.loads(line)
            except ValueError:
                broken += 1
                continue
            fine += 1
            try:
                datetime.fromisoformat(record["createdDateTime"])
            except ValueError:
                odd += 1
    assert broken > 5
    assert odd > 5
    assert broken + odd < 0.04 * fine
    # Arrays must stay readable as a whole.
    assert all(json.loads(t) for t in texts(tmp_path / "audit"))


def test_labels_truth_and_progress(tmp_path):
    told = []
    spec = SimulationSpec(scenarios=("holiday",), **SMALL)
    result = simulate(spec, tmp_path, lambda done, total: told.append((done, total)))
    assert told[-1] == (7, 7)
    document = json.loads((tmp_path / "labels.json").read_text())
    assert document["tenant"] == result.tenant == spec.tenant
    truth = json.loads((tmp_path / "truth.json").read_text())
    assert len(truth["user_principal_names"]) > 30
    assert all(
        a.startswith(("192.0.2.", "198.51.100.", "203.0.113.", "2001:db8:"))
        for a in truth["ip_addresses"]
    )
    for folder in ("advisories", "directory"):
        for text in texts(tmp_path / folder):
            assert json.loads(text)["value"] is not None
    assert result.files == len([p for p in tmp_path.rglob("*") if p.is_file()])
    assert result.bytes == sum(p.stat().st_size for p in tmp_path.rglob("*") if p.is_file())


def test_an_earlier_simulation_is_replaced(tmp_path):
    out = tmp_path / "out"
    simulate(SimulationSpec(signin_form="jsonl", **SMALL), out)
    simulate(SimulationSpec(without=("audit",), **SMALL), out)
    assert not (out / "audit").exists()
    assert not list(out.rglob("*.jsonl*"))


def test_other_content_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("keep me")
    with pytest.raises(ConfigError, match="holds no simulation"):
        simulate(SimulationSpec(**SMALL), tmp_path)
    with pytest.raises(ConfigError, match="is a file"):
        simulate(SimulationSpec(**SMALL), tmp_path / "thesis.txt")
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_guid_shape():
    assert specs.guid("0" * 32) == "00000000-0000-4000-a000-000000000000"
