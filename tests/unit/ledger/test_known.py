"""Titles of advisories, asked beside the run that writes the ledger."""

from __future__ import annotations

import json
from functools import partial

from pipeline.ledger.known import KnownAdvisories
from pipeline.ledger.store import Ledger
from pipeline.model.documents import to_json
from pipeline.notify.wording import message_of
from tests.sinks.notices import resolved
from tests.unit.report import sample_folder


def test_a_message_names_the_advisory_by_its_title(tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    known = KnownAdvisories(ledger.path)
    words = partial(message_of, resolved())
    assert dict(words(advisories=known).facts)["Advisory"].startswith("EX1256020; ")
    advisory = sample_folder.advisory()
    with ledger.transaction():
        document = json.dumps(to_json(advisory))
        body = {"id": advisory.advisory_id, "hash": "h", "at": 1, "document": document}
        ledger.put_advisory({**body, "words": advisory.title}, 0)
    assert (list(known), len(known), bool(known)) == ([advisory.advisory_id], 1, True)
    told = dict(words(advisories=known).facts)["Advisory"]
    assert told.startswith(f"EX1256020 {advisory.title[:40]}")
    ledger.close()


def test_a_ledger_that_is_away_knows_none(tmp_path):
    known = KnownAdvisories(tmp_path / "nothing.sqlite")
    assert known.get("EX1256020") is None
    assert list(known) == []
