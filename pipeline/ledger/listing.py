"""What is listed by which columns, and the indices over them; added in version 3 of the ledger.

An index holds all that a list asks for, so that a page of it reads some rows of the index
and then the documents of that page alone.
"""

from __future__ import annotations

from typing import Final

# ``at``: seconds since 1970 of ``raised_at``. ``clients``: each of them in quotation marks.
COLUMNS: Final = "at, state, verdict, clients"
_LISTED: Final = """\
coalesce(CAST(strftime('%s', json_extract({0}, '$.raised_at')) AS INTEGER), 0),
json_extract({0}, '$.state'),
json_extract({0}, '$.verdict'),
coalesce(json_extract({0}, '$.clients'), '"' || json_extract({0}, '$.client') || '"')"""

ADDED_IN_VERSION_3: Final = (
    "ALTER TABLE documents ADD COLUMN at INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE documents ADD COLUMN state TEXT",
    "ALTER TABLE documents ADD COLUMN verdict TEXT",
    "ALTER TABLE documents ADD COLUMN clients TEXT",
    f"UPDATE documents SET ({COLUMNS}) = (SELECT {_LISTED.format('document')})",
    f"CREATE INDEX documents_listed ON documents (kind, at, id, revision, tenant, {COLUMNS[4:]})",
    # A letter that lies in a topic has its partition and offset as origin.
    "ALTER TABLE dead ADD COLUMN origin TEXT",
    "CREATE UNIQUE INDEX dead_origin ON dead (origin) WHERE origin IS NOT NULL",
    "CREATE INDEX dead_reasons ON dead (reason, at, queued, replayed)",
)
ADD: Final = (
    "INSERT {otherwise}INTO documents (kind, id, revision, tenant, document, "
    f"{COLUMNS}) SELECT ?1, ?2, ?3, ?4, ?5, {_LISTED.format('?5')}"
)
