"""A good sink, and sinks that are broken in one way each: what the checks of sinks must tell."""

from __future__ import annotations

import json
import logging
import time
from typing import TYPE_CHECKING, Any

from connectors.sinks.encoders.encoder import key_of
from pipeline.model.contracts import Delivery
from pipeline.model.errors import AuthError, RetriableError
from tests.contracts.sink_cases import BUSY, CUT, DENIED, DOWN, SinkCase

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.contracts.sink_cases import Document, Key

TOKEN = "token-of-the-tests-7Kq"  # noqa: S105 # of a receiver in memory
PARCEL = 3


class WantsLaterError(Exception):
    """The receiver in memory is busy."""


class LostError(Exception):
    """No answer came."""


class DeniedError(Exception):
    """The receiver in memory does not know the token."""


class Memory:
    """A receiver without a network: takes up to three documents in one request."""

    def __init__(self, kind: type[GoodSink]) -> None:
        self.kind = kind
        self.arrived: list[tuple[Key, str]] = []
        self.bad: set[Key] = set()
        self.trouble: str | None = None
        self.after = 0

    def sink(self) -> GoodSink:
        return self.kind(self, TOKEN)

    def accepted(self) -> list[Key]:
        return [key for key, _ in self.arrived]

    def text(self, key: Key) -> str:
        return str(json.loads(dict(self.arrived)[key])["text"])

    def fail(self, kind: str | None, after: int = 0) -> None:
        self.trouble, self.after = kind, after

    def refuse(self, document: Document) -> Document:
        self.bad.add(key_of(document))
        return document

    def wait(self, seconds: float) -> None:
        assert seconds >= 0

    def close(self) -> None:
        self.arrived.clear()

    def request(self, parcel: Sequence[tuple[Key, str]]) -> list[Key]:
        """Take a parcel; gives the keys that are refused."""
        trouble = self.trouble if self.after <= 0 else None
        self.after -= 1
        if trouble == DOWN:
            raise LostError
        if trouble == BUSY:
            raise WantsLaterError
        if trouble == DENIED:
            raise DeniedError
        self.arrived += [(key, body) for key, body in parcel if key not in self.bad]
        if trouble == CUT:
            raise LostError
        return [key for key, _ in parcel if key in self.bad]


class GoodSink:
    """Three documents in one request, in order, and the first trouble ends the portion."""

    def __init__(self, receiver: Memory, token: str) -> None:
        self.receiver, self._token = receiver, lambda: token
        self.failures = 0

    def deliver(self, documents: Sequence[Mapping[str, Any]]) -> Delivery:
        accepted: list[Key] = []
        rejected: list[Key] = []
        parcels = self.parcels([self.packed(d) for d in documents])
        for parcel in parcels:
            try:
                bad = self.receiver.request(parcel)
            except (LostError, WantsLaterError):
                self.failures += 1
                return self.put_off(parcel, accepted, rejected)
            except DeniedError:
                raise self.denied() from None
            accepted += [key for key, _ in parcel if key not in bad]
            rejected += self.refused(parcel, bad)
        return Delivery(accepted, rejected)

    def packed(self, document: Mapping[str, Any]) -> tuple[Key, str]:
        return key_of(document), json.dumps(document)

    def parcels(self, packed: list[tuple[Key, str]]) -> list[list[tuple[Key, str]]]:
        return [packed[at : at + PARCEL] for at in range(0, len(packed), PARCEL)]

    def refused(self, _parcel: list[tuple[Key, str]], bad: list[Key]) -> list[Key]:
        return bad

    def put_off(
        self, _parcel: list[tuple[Key, str]], accepted: list[Key], rejected: list[Key]
    ) -> Delivery:
        if accepted or rejected:
            return Delivery(accepted, rejected, retry_after=5.0)
        raise RetriableError("memory: no answer; is it up?", retry_after=5.0)

    def denied(self) -> Exception:
        return AuthError("memory: does not know the token; name another")


class LosesTheLast(GoodSink):
    def parcels(self, packed: list[tuple[Key, str]]) -> list[list[tuple[Key, str]]]:
        return super().parcels(packed[:-1])

    def deliver(self, documents: Sequence[Mapping[str, Any]]) -> Delivery:
        done = super().deliver(documents)
        if done.retry_after is not None or not documents:
            return done
        return Delivery([*done.accepted, key_of(documents[-1])], done.rejected)


class NewestFirst(GoodSink):
    def parcels(self, packed: list[tuple[Key, str]]) -> list[list[tuple[Key, str]]]:
        return super().parcels(packed[::-1])


class SettlesTwice(GoodSink):
    def deliver(self, documents: Sequence[Mapping[str, Any]]) -> Delivery:
        done = super().deliver(documents)
        return Delivery([*done.accepted, *done.accepted[:1]], done.rejected, done.retry_after)


class SaysHelloFirst(GoodSink):
    def deliver(self, documents: Sequence[Mapping[str, Any]]) -> Delivery:
        if not documents:
            self.receiver.request([(("hello", 1), "{}")])
        return super().deliver(documents)


class CutsTheCallersDocument(GoodSink):
    def packed(self, document: Mapping[str, Any]) -> tuple[Key, str]:
        document["more"] = 1  # type: ignore[index] # what a sink must not do
        return super().packed(document)


class TakesSilenceForYes(GoodSink):
    def put_off(
        self, parcel: list[tuple[Key, str]], accepted: list[Key], rejected: list[Key]
    ) -> Delivery:
        if self.receiver.trouble == DOWN:
            return Delivery([*accepted, *(key for key, _ in parcel)], rejected)
        return super().put_off(parcel, accepted, rejected)


class ForgetsWhatWasTaken(GoodSink):
    """Answers a portion as a whole: what was taken before the trouble is sent again."""

    def put_off(
        self, _parcel: list[tuple[Key, str]], _accepted: list[Key], _rejected: list[Key]
    ) -> Delivery:
        raise RetriableError("memory: no answer; is it up?", retry_after=5.0)


class RejectsTheNeighbours(GoodSink):
    def refused(self, parcel: list[tuple[Key, str]], bad: list[Key]) -> list[Key]:
        return [key for key, _ in parcel] if bad else []


class CountsItsTries(GoodSink):
    """Writes its own count into the key, so that a repetition is another document."""

    def __init__(self, receiver: Memory, token: str) -> None:
        super().__init__(receiver, token)
        self._tries = len(receiver.arrived)

    def packed(self, document: Mapping[str, Any]) -> tuple[Key, str]:
        (name, revision), body = super().packed(document)
        return (name, revision + self._tries), body


class WaitsForAPerson(GoodSink):
    """Tries a wrong token for ever, and tells nobody."""

    def denied(self) -> Exception:
        return RetriableError("memory: refused", retry_after=5.0)


class TellsItsToken(GoodSink):
    def denied(self) -> Exception:
        return AuthError(f"memory: does not know {self._token()}; name another")


class ShowsItsToken(GoodSink):
    def __repr__(self) -> str:
        return f"ShowsItsToken({self._token()})"


class LogsItsToken(GoodSink):
    def deliver(self, documents: Sequence[Mapping[str, Any]]) -> Delivery:
        logging.getLogger(__name__).debug("asking with %s", self._token())
        return super().deliver(documents)


class CutsSilently(GoodSink):
    def packed(self, document: Mapping[str, Any]) -> tuple[Key, str]:
        return super().packed({**document, "text": document["text"][:1000]})


class DropsWhatHides(GoodSink):
    def packed(self, document: Mapping[str, Any]) -> tuple[Key, str]:
        kept = "".join(c for c in document["text"] if c.isprintable())
        return super().packed({**document, "text": kept})


class Sleeps(GoodSink):
    def put_off(
        self, parcel: list[tuple[Key, str]], accepted: list[Key], rejected: list[Key]
    ) -> Delivery:
        time.sleep(0.001)
        return super().put_off(parcel, accepted, rejected)


class TiresOfTrying(GoodSink):
    """Drops a parcel that failed for the fifth time in a row, as forwarders do."""

    def put_off(
        self, parcel: list[tuple[Key, str]], accepted: list[Key], rejected: list[Key]
    ) -> Delivery:
        if self.failures % 5 == 0:
            return Delivery([*accepted, *(key for key, _ in parcel)], rejected)
        return super().put_off(parcel, accepted, rejected)


def document(name: str, revision: int, text: str) -> dict[str, Any]:
    kind = "flag" if name.startswith("flag") else "incident"
    return {f"{kind}_id": name, "revision": revision, "text": text}


def case_of(cls: type[GoodSink]) -> SinkCase:
    def make() -> tuple[GoodSink, Memory]:
        receiver = Memory(cls)
        return receiver.sink(), receiver

    return SinkCase(make=make, document=document, secrets=(TOKEN,))


# Twin: a check that must fail on it. Others may fail as well: what loses, loses everywhere.
TWINS: dict[type[GoodSink], str] = {
    LosesTheLast: "everything_arrives_once",
    NewestFirst: "revisions_of_an_id_arrive_in_order",
    SettlesTwice: "it_settles_what_it_was_handed_and_each_once",
    SaysHelloFirst: "nothing_handed_over_settles_nothing",
    CutsTheCallersDocument: "documents_are_left_as_they_are",
    TakesSilenceForYes: "a_receiver_that_is_down_is_told_and_loses_nothing",
    ForgetsWhatWasTaken: "a_busy_receiver_loses_nothing_and_gets_nothing_twice",
    RejectsTheNeighbours: "a_refused_document_is_rejected_and_the_others_go_on",
    CountsItsTries: "a_lost_answer_repeats_the_same_key_and_no_other",
    WaitsForAPerson: "a_wrong_credential_is_told_with_its_remedy",
    TellsItsToken: "nothing_secret_shows",
    ShowsItsToken: "nothing_secret_shows",
    LogsItsToken: "nothing_secret_shows",
    CutsSilently: "hostile_text_arrives_whole_or_visibly_cut",
    DropsWhatHides: "hostile_text_arrives_whole_or_visibly_cut",
    Sleeps: "it_never_sleeps",
    TiresOfTrying: "a_hundred_troubles_and_kills_leave_one_recognisable_delivery_each",
}
