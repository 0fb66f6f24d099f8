"""Answers of people on call, from the page of an incident: acknowledge, give back, silence."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.responses import RedirectResponse

from pipeline.model.ids import content_id
from pipeline.model.notice import Ack, Silence
from pipeline.notify.clean import clean
from pipeline.notify.matchers import parse_all
from pipeline.web.pages_incident import history_of
from pipeline.web.problems import ProblemError
from pipeline.web.rendering import HEADERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from pipeline.ledger.store import Ledger
    from pipeline.web.pages import Frame
    from pipeline.web.session import Person

_FORM_BYTES: Final = 16_384
_FIELDS: Final = 12
_NAME: Final = 80
_TEXT: Final = 300
_MATCHERS: Final = 20
_LONGEST_HOURS: Final = 24 * 31


class FormPages:
    """Handlers of forms, each checked against the session that it came with.

    Args:
        frame: what pages are made with; its ``writing`` opens the ledger.
    """

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    async def ack(self, request: Request) -> Response:
        """Look after an incident."""
        form = await checked_form(request, self._frame)
        return await run_in_threadpool(self._ack, request, form, ends=False)

    async def unack(self, request: Request) -> Response:
        """Look after it no longer."""
        form = await checked_form(request, self._frame)
        return await run_in_threadpool(self._ack, request, form, ends=True)

    async def silence(self, request: Request) -> Response:
        """Let nobody be told of what is like an incident."""
        form = await checked_form(request, self._frame)
        return await run_in_threadpool(self._silence, request, form)

    def _ack(self, request: Request, form: Mapping[str, str], *, ends: bool) -> Response:
        name = self._known(request)
        now = self._frame.clock.now().replace(microsecond=0)
        hours = _hours(form.get("hours", ""), needed=False)
        until = now if ends else None if hours is None else now + hours
        by = _by(request.scope["person"], form)
        ack = Ack(name, now, by, clean(form.get("note", ""), _TEXT), until)
        with self._opened() as ledger, ledger.transaction():
            ledger.put_ack(ack)
        return _back(name, "ended" if ends else "ack")

    def _silence(self, request: Request, form: Mapping[str, str]) -> Response:
        name = self._known(request)
        now = self._frame.clock.now().replace(microsecond=0)
        hours = _hours(form.get("hours", ""), needed=True)
        lines = [line.strip() for line in form.get("matchers", "").splitlines()]
        matchers = [line for line in lines if line]
        if not 0 < len(matchers) <= _MATCHERS:
            raise ProblemError(400, f"write from 1 to {_MATCHERS} matchers, one a line")
        try:
            parse_all(matchers)
        except ValueError as error:
            raise ProblemError(400, clean(error, 400)) from error
        comment = clean(form.get("comment", ""), _TEXT)
        if not comment:
            raise ProblemError(400, "write why: whoever comes next wants to know")
        by = _by(request.scope["person"], form)
        ends = now + (hours or timedelta(0))
        key = content_id("sil", *matchers, now.isoformat(), ends.isoformat(), by, comment)
        silence = Silence(key, tuple(matchers), now, ends, by, comment)
        with self._opened() as ledger, ledger.transaction():
            ledger.put_silence(silence)
        return _back(name, "silenced")

    def _known(self, request: Request) -> str:
        name: str = request.path_params["id"]
        with self._frame.backend.readers.borrow() as reader:
            history_of(reader, name)
        return name

    @contextmanager
    def _opened(self) -> Iterator[Ledger]:
        """The ledger, open for writing for the length of one form."""
        if self._frame.writing is None:
            raise ProblemError(405, "this server only reads; serve.write = true lets it write")
        ledger = self._frame.writing()
        try:
            yield ledger
        finally:
            ledger.close()


async def checked_form(request: Request, frame: Frame) -> dict[str, str]:
    """The fields of a form that a page of this server has shown to this person.

    Raises:
        ProblemError: 413; it is too long. 403; it is of another session, or made up.
    """
    form = await read_form(request)
    person: Person | None = request.scope["person"]
    if person is None or not frame.access.sessions.form_is_good(person, form.get("form", "")):
        raise ProblemError(403, "this form is of another session; reload the page and send it anew")
    return form


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form, read within bounds.

    Raises:
        ProblemError: 413 or 415; it is too long, or no form.
    """
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raise ProblemError(415, "send a form: application/x-www-form-urlencoded")
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > _FORM_BYTES:
                raise ProblemError(413, f"the form is longer than {_FORM_BYTES} bytes")
    except ClientDisconnect:
        raise ProblemError(400, "the form came to half only") from None
    try:
        text = body.decode("ascii")
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=_FIELDS))
    except ValueError:
        raise ProblemError(400, "the form cannot be read; send it anew from the page") from None


def _by(person: Person, form: Mapping[str, str]) -> str:
    by = clean(person.name or form.get("by", ""), _NAME)
    if not by:
        raise ProblemError(400, "write your name: others want to know whom to ask")
    return by


def _hours(text: str, *, needed: bool) -> timedelta | None:
    if not text and not needed:
        return None
    if not (text.isascii() and text.isdecimal() and 0 < int(text) <= _LONGEST_HOURS):
        raise ProblemError(400, f"hours is no number from 1 to {_LONGEST_HOURS}")
    return timedelta(hours=int(text))


def _back(name: str, done: str) -> Response:
    """Back to the page, by GET: to reload it sends nothing again."""
    where = f"/incidents/{quote(name, safe='')}?done={done}"
    return RedirectResponse(where, 303, {**HEADERS, "Cache-Control": "no-store"})
