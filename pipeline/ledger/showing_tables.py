"""What a dashboard shows, as tables of the ledger; added in version 6.

| table | holds |
|---|---|
| ``newest`` | the last revision of each flag and incident, by triggers on ``documents`` |
| ``search`` | words of incidents and advisories (FTS5); an advisory has a negative row number |
| ``tenants_now`` | by tenant, its running hours, feeds and logs as last judged |
| ``lanes``, ``hours`` | the hourly timeline: one signal of one cell, by day |
| ``gaps`` | stretches without records, by the hour in which they end |
| ``user_days``, ``watched`` | users a day by client, and the smallest effect that would show |
| ``advisories``, ``heads``, ``heard`` | every version, the newest of each, and who was told |
| ``impacts``, ``leads`` | what each advisory means for a tenant, and who was first |
| ``stale`` | incidents and advisories whose impacts and leads are to be worked out anew |

Rows of ``hours`` stand by day first: an hour that is judged again touches the pages of its
own day, 0.3 MB of a tenant of 60 cells, and a day is forgotten in one stretch.
"""

from __future__ import annotations

from typing import Final

# Longer texts are found by their beginning; a hostile one must not fill the disk.
_LONGEST: Final = 20_000
_NAMED: Final = """\
new.id || ' ' || coalesce(json_extract(new.document, '$.clients'), '') || ' '
|| coalesce(json_extract(new.document, '$.services'), '') || ' '
|| coalesce(json_extract(new.document, '$.verdict'), '') || ' '
|| coalesce(json_extract(new.document, '$.advisory.advisory_id'), '') || ' '
|| coalesce((SELECT group_concat(json_extract(value, '$.advisory_id'), ' ')
             FROM json_each(new.document, '$.other_advisories')), '') || ' '
|| coalesce((SELECT group_concat(json_extract(value, '$.code'), ' ')
             FROM json_each(new.document, '$.error_codes')), '')"""
_TOLD: Final = """\
coalesce(json_extract(new.document, '$.headline'), '') || char(10)
|| coalesce((SELECT group_concat(json_extract(value, '$.text'), char(10))
             FROM json_each(new.document, '$.evidence')), '') || char(10)
|| coalesce((SELECT group_concat(json_extract(value, '$.value'), ' ')
             FROM json_each(new.document, '$.scope')), '')"""
_ROW: Final = """\
SELECT new.kind, new.id, new.revision, new.seq, new.tenant, new.at, new.state, new.verdict,
    json_extract(new.document, '$.severity'),
    CAST(strftime('%s', json_extract(new.document, '$.resolved_at')) AS INTEGER)"""
_WORDS: Final = f"""\
SELECT new.seq, substr({_TOLD}, 1, {_LONGEST}), substr({_NAMED}, 1, {_LONGEST}), new.tenant"""
# The conflict clause of the statement that fires a trigger overrules those within it: so
# rows are taken away and put, never replaced.
_SHOWN: Final = f"""\
CREATE TRIGGER documents_shown AFTER INSERT ON documents WHEN NOT EXISTS (
    SELECT 1 FROM newest WHERE kind = new.kind AND id = new.id AND revision > new.revision)
BEGIN
    DELETE FROM search WHERE new.kind = 'incident' AND rowid = (
        SELECT seq FROM newest WHERE kind = new.kind AND id = new.id);
    DELETE FROM newest WHERE kind = new.kind AND id = new.id;
    INSERT INTO newest {_ROW};
    INSERT INTO search (rowid, told, named, tenant) {_WORDS} WHERE new.kind = 'incident';
    INSERT OR IGNORE INTO stale SELECT new.tenant, 'incident', new.id WHERE new.kind = 'incident';
END"""
_FORGOTTEN: Final = """\
CREATE TRIGGER documents_forgotten AFTER DELETE ON documents WHEN EXISTS (
    SELECT 1 FROM newest WHERE kind = old.kind AND id = old.id AND seq = old.seq)
BEGIN
    DELETE FROM search WHERE old.kind = 'incident' AND rowid = old.seq;
    DELETE FROM leads WHERE old.kind = 'incident' AND tenant = old.tenant AND incident = old.id;
    DELETE FROM stale WHERE old.kind = kind AND id = old.id AND tenant = old.tenant;
    DELETE FROM newest WHERE kind = old.kind AND id = old.id;
END"""
_TABLES: Final = (
    """CREATE TABLE newest (
    kind TEXT NOT NULL, id TEXT NOT NULL, revision INTEGER NOT NULL, seq INTEGER NOT NULL,
    tenant TEXT NOT NULL, at INTEGER NOT NULL, state TEXT, verdict TEXT, severity TEXT,
    resolved INTEGER, PRIMARY KEY (kind, id)) WITHOUT ROWID""",
    """CREATE INDEX newest_counted ON newest
    (kind, state, tenant, severity, verdict, at, resolved, seq)""",
    "CREATE INDEX newest_tenant ON newest (tenant, kind, state, at)",
    """CREATE VIRTUAL TABLE search USING fts5 (
    told, named, tenant, tokenize = "unicode61 remove_diacritics 2", prefix = '2 4')""",
    """CREATE TABLE tenants_now (
    tenant TEXT PRIMARY KEY, at INTEGER NOT NULL, kept INTEGER NOT NULL, states TEXT NOT NULL,
    unwell INTEGER NOT NULL, completeness REAL, body BLOB NOT NULL)""",
    """CREATE TABLE lanes (
    lane INTEGER PRIMARY KEY, tenant TEXT NOT NULL, source TEXT NOT NULL, service TEXT NOT NULL,
    client TEXT NOT NULL, signal TEXT NOT NULL, UNIQUE (tenant, source, service, client, signal))""",
    """CREATE TABLE hours (
    day INTEGER NOT NULL, lane INTEGER NOT NULL, hour INTEGER NOT NULL, observed REAL NOT NULL,
    expected REAL, low REAL, high REAL, completeness REAL NOT NULL,
    PRIMARY KEY (day, lane, hour)) WITHOUT ROWID""",
    """CREATE TABLE gaps (
    tenant TEXT NOT NULL, hour INTEGER NOT NULL, source TEXT NOT NULL, start INTEGER NOT NULL,
    until INTEGER NOT NULL, expected REAL NOT NULL,
    PRIMARY KEY (tenant, hour, source, start)) WITHOUT ROWID""",
    """CREATE TABLE user_days (
    tenant TEXT NOT NULL, service TEXT NOT NULL, client TEXT NOT NULL, day INTEGER NOT NULL,
    users INTEGER NOT NULL, PRIMARY KEY (tenant, service, client, day)) WITHOUT ROWID""",
    """CREATE TABLE watched (
    tenant TEXT NOT NULL, service TEXT NOT NULL, client TEXT NOT NULL, effect REAL NOT NULL,
    PRIMARY KEY (tenant, service, client)) WITHOUT ROWID""",
    """CREATE TABLE advisories (
    version INTEGER PRIMARY KEY AUTOINCREMENT, hash TEXT NOT NULL UNIQUE, id TEXT NOT NULL,
    at INTEGER NOT NULL, document TEXT NOT NULL)""",
    "CREATE INDEX advisories_id ON advisories (id, at, version)",
    """CREATE TABLE heads (
    id TEXT PRIMARY KEY, at INTEGER NOT NULL, version INTEGER NOT NULL, kept INTEGER NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX heads_at ON heads (at, id, version)",
    "CREATE INDEX heads_kept ON heads (kept)",
    """CREATE TABLE heard (
    tenant TEXT NOT NULL, id TEXT NOT NULL, hash TEXT NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (tenant, id, hash)) WITHOUT ROWID""",
    "CREATE INDEX heard_at ON heard (tenant, at)",
    "CREATE INDEX heard_id ON heard (id, hash)",
    """CREATE TABLE impacts (
    id TEXT NOT NULL, tenant TEXT NOT NULL, answer TEXT NOT NULL, over TEXT NOT NULL,
    users INTEGER NOT NULL, document TEXT NOT NULL, PRIMARY KEY (id, tenant)) WITHOUT ROWID""",
    "CREATE INDEX impacts_counted ON impacts (answer, over, tenant, id)",
    """CREATE TABLE leads (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, tenant TEXT NOT NULL, incident TEXT NOT NULL,
    advisory TEXT NOT NULL, kind TEXT NOT NULL, in_scope INTEGER NOT NULL, at INTEGER NOT NULL,
    lead REAL, document TEXT NOT NULL, UNIQUE (tenant, incident, advisory))""",
    "CREATE INDEX leads_at ON leads (at, seq, kind, tenant)",
    "CREATE INDEX leads_incident ON leads (incident)",
    "CREATE INDEX leads_advisory ON leads (advisory, tenant)",
    "CREATE INDEX leads_counted ON leads (in_scope, kind, lead, tenant)",
    """CREATE TABLE stale (
    tenant TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL,
    PRIMARY KEY (tenant, kind, id)) WITHOUT ROWID""",
)
# What an older ledger holds comes in as if it had just been written.
_LAST: Final = """\
FROM documents AS new WHERE NOT EXISTS (SELECT 1 FROM documents d
    WHERE d.kind = new.kind AND d.id = new.id AND d.revision > new.revision)"""
_FILLED: Final = (
    f"INSERT INTO newest {_ROW} {_LAST}",
    f"INSERT INTO search (rowid, told, named, tenant) {_WORDS} {_LAST} AND kind = 'incident'",
    "INSERT INTO stale SELECT tenant, kind, id FROM newest WHERE kind = 'incident'",
)
ADDED_IN_VERSION_6: Final = (*_TABLES, *_FILLED, _SHOWN, _FORGOTTEN)
