"""Mailbox audit records as JSON, after the Management Activity API's schema.

Shapes as seen in public records: a folder synchronisation is RecordType 2 with ``Item``,
a bind RecordType 50 with ``Folders`` and ``OperationCount`` and only ``ClientIPAddress``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from pipeline.simulate.catalog import FIRST_SYSTEM, SOFTWARE, SYSTEM_CALLERS
from pipeline.simulate.formats.entra import iso
from pipeline.simulate.formats.entra_full import inner, text
from pipeline.simulate.people import DOMAIN
from pipeline.simulate.rows import OPERATIONS, guids

if TYPE_CHECKING:
    from pipeline.simulate.rows import Rows
    from pipeline.simulate.world import World

_FOLDER: Final = "LgAAAADBwCLOTkcSTpPvPqAu44P4AQBY8xpM8MPnRJFI1LZ3pAMJAAAAAAEMAAAB"
_ITEM: Final = "RgAAAADBwCLOTkcSTpPvPqAu44P4BwBY8xpM8MPnRJFI1LZ3pAMJAAAAAAEMAABY8xpM8MPnRJFI1LZ3"
# RecordType by operation, for everything but MailItemsAccessed.
_RECORD_TYPE: Final = (50, 2, 2, 3, 3, 2, 3)


def record_type(operation: int, sync: int) -> int:
    """RecordType of an operation; a folder synchronisation is 2, a bind 50."""
    return 2 if sync else _RECORD_TYPE[operation]


class AuditTexts:
    """The looked-up parts of every mailbox audit record of one tenant."""

    def __init__(self, world: World, *, full: bool) -> None:
        self.world, self.full = world, full
        people, tenant = world.people, world.spec.tenant
        self.tenant = inner({"OrganizationId": tenant, "Workload": "Exchange", "Version": 1})
        self.users = [self._user(i) for i in range(people.accounts.kind.size)]
        self.clients = [self._client(i) for i in range(FIRST_SYSTEM)]
        self.clients += [
            inner({"ClientInfoString": info} | ({"AppId": app} if app else {}))
            for info, app, _ in SYSTEM_CALLERS
        ]
        self.addresses = [inner({"ClientIPAddress": a}) for a in people.addresses]
        self.more_addresses = [
            inner({"ClientIP": a, "ClientIPAddress": a}) for a in people.addresses
        ]
        self.access = {
            (sync, throttled): inner(
                {
                    "OperationProperties": [
                        {"Name": "MailAccessType", "Value": "Sync" if sync else "Bind"},
                        {"Name": "IsThrottled", "Value": "True" if throttled else "False"},
                    ]
                }
            )
            for sync in (0, 1)
            for throttled in (0, 1)
        }
        self.devices: dict[tuple[int, int], str] = {}

    def _user(self, i: int) -> str:
        people = self.world.people.accounts
        sid = f"S-1-5-21-1410773211-2866031405-3411860244-{2_000_000 + i}"
        user: dict[str, Any] = {
            "UserId": people.upn[i],
            "MailboxGuid": people.mailbox[i],
            "MailboxOwnerUPN": people.upn[i],
        }
        if self.full:
            user |= {
                "UserKey": f"1003{i:012X}",
                "LogonUserSid": sid,
                "MailboxOwnerSid": sid,
                "OrganizationName": DOMAIN,
                "OriginatingServer": f"FR0P281MB{2000 + i % 400} (15.20.9587.017)\r\n",
                "ExternalAccess": False,
                "TokenType": "V1AppActAs",
                "AuthType": "Bearer",
                "AppAccessContext": {
                    "AADSessionId": people.mailbox[i][::-1],
                    "APIId": "00000002-0000-0ff1-ce00-000000000000",
                    "IssuedAtTime": "1601-01-01T00:00:00",
                    "UniqueTokenId": people.object_id[i][:22],
                },
                "AssociatedAdminUnits": [],
            }
        return inner(user)

    def _client(self, i: int) -> str | None:
        soft = SOFTWARE[i]
        return None if "{user}" in soft.info else self._client_of(i, "", "")

    def _client_of(self, i: int, user: str, device: str) -> str:
        soft = SOFTWARE[i]
        out = {"ClientInfoString": soft.info.replace("{user}", user).replace("{device}", device)}
        if soft.audit_app:
            out["AppId"] = soft.audit_app
        if soft.audit_app and (self.full or soft.client == "graph"):
            out["ClientAppId"] = soft.app_id
        if soft.process:
            out |= {"ClientProcessName": soft.process, "ClientVersion": soft.version}
        return inner(out)

    def client(self, software: int, account: int) -> str:
        """Client part of a record; an ActiveSync string names the mailbox and the device."""
        known = self.clients[software]
        if known is None:
            key = (software, account)
            known = self.devices.get(key)
            if known is None:
                people = self.world.people.accounts
                device = people.object_id[account].replace("-", "").upper()
                known = self._client_of(software, quote(people.upn[account]), device)
                self.devices[key] = known
        return known

    def records(self, rows: Rows) -> list[str]:
        """The audit record of each row."""
        ids = guids(self.world.spec.seed + 61, rows["serial"])
        columns = (
            rows[n].tolist()
            for n in ("account", "software", "operation", "sync", "count", "throttled", "ip")
        )
        return [
            self._head(t, rid, o, sync)
            + self.users[a]
            + self.client(s, a)
            + (self.more_addresses[ip] if sync or o else self.addresses[ip])
            + self._body(o, sync, count, throttled, rid)
            for t, rid, a, s, o, sync, count, throttled, ip in zip(
                iso(rows["t"], "s"), ids, *columns, strict=True
            )
        ]

    def _head(self, t: str, rid: str, operation: int, sync: int) -> str:
        return (
            f'{{"CreationTime":"{t}","Id":"{rid}","Operation":"{OPERATIONS[operation]}",'
            f'"RecordType":{record_type(operation, sync)},"ResultStatus":"Succeeded",'
            f'"UserType":0,"LogonType":0,"InternalLogonType":0,{self.tenant}'
        )

    def _body(self, operation: int, sync: int, count: int, throttled: int, rid: str) -> str:
        if operation:
            item = f'{{"Id":"{_ITEM}{rid[:8]}"}}'
            return (
                f'"Item":{item}}}'
                if _RECORD_TYPE[operation] == 2
                else f'"AffectedItems":[{item}]}}'
            )
        access = self.access[sync, throttled]
        if sync:
            return f'{access}"Item":{{"Id":"{_FOLDER}","ParentFolder":{{"Id":"{_FOLDER}"}}}}}}'
        if not self.full:
            return f'{access}"OperationCount":{count}}}'
        items = ",".join(
            f'{{"Id":"{_ITEM}{rid[:8]}{i:04X}","InternetMessageId":"<FR0P281MB{rid[:8]}{i:04X}{rid[24:]}@FR0P281MB2345.deup281.'
            f'prod.outlook.example>","SizeInBytes":{40_000 + 977 * i}}}'
            for i in range(min(count, 8))
        )
        folder = f'{{"FolderItems":[{items}],"Id":"{_FOLDER}","Path":"\\\\Inbox"}}'
        session = text(rid[::-1])
        return f'{access}"Folders":[{folder}],"SessionId":{session},"OperationCount":{count}}}'
