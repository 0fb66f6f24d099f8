"""E-mail: notices by SMTP, encrypted and to a server whose certificate is verified."""

from __future__ import annotations

import smtplib
import ssl
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from connectors.certificates import load_authorities
from connectors.sinks.encoders.encoder import key_of
from connectors.sinks.mail_message import mail
from connectors.sinks.one_by_one import one_by_one
from connectors.sinks.rules import rule_for
from pipeline.model.errors import AuthError, FatalError, RetriableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from pipeline.model.contracts import Delivery
    from pipeline.model.message import Message

WHAT: Final = "mail server"
Security: TypeAlias = Literal["starttls", "tls", "none"]
_SECONDS: Final = 30.0
_RETRY_SECONDS: Final = 60.0
_CREDENTIAL_REFUSED: Final = 535


@dataclass(frozen=True, slots=True)
class Login:
    """Who signs in at the server; ``password`` gives the password."""

    user: str
    password: Callable[[], str]


class MailSink:
    """Sends each notice as a mail to all recipients.

    A notice has one Message-ID for ever, so a mail whose answer was lost and that comes again
    is the same mail; most mail systems show it once.

    A recipient who is refused for good is told to ``tell``, by place in the list and never by
    address; one who is refused for now gets the mail later, without a repetition for the others.

    Args:
        host, port: of the server.
        sender: address that the mails come from.
        recipients: addresses that they go to.
        message: a notice in words.
        security: ``starttls``, ``tls`` (from the first byte on) or ``none``.
        login: who signs in; None = nobody.
        ca_file: authorities to trust; None = the usual ones.
        tell: hears of recipients who are refused.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        sender: str,
        recipients: Sequence[str],
        message: Callable[[Mapping[str, Any]], Message],
        security: Security = "starttls",
        login: Login | None = None,
        ca_file: Path | None = None,
        tell: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self._host, self._port, self._security = host, port, security
        self._sender, self._recipients = sender, list(recipients)
        self._message, self._login, self._tell = message, login, tell
        self._ca_file = ca_file
        # Recipients who have a mail of which others have yet to take it; places in the list.
        self._had: dict[tuple[str, int], set[int]] = {}

    def deliver(self, documents: Sequence[Mapping[str, Any]]) -> Delivery:
        """Send the mails over one connection; see :class:`pipeline.model.contracts.Sink`.

        Raises:
            RetriableError: nothing was sent; later may do.
            FatalError: a person has to act.
        """
        connection = _Lazy(self._connect)
        try:
            return one_by_one(documents, lambda notice: self._send(connection, notice))
        finally:
            connection.close()

    def _send(self, connection: _Lazy, notice: Mapping[str, Any]) -> bool:
        key = key_of(notice)
        message = self._message(notice)

        def body() -> bytes:
            made = mail(notice, message, sender=self._sender, recipients=self._recipients)
            return made.as_bytes()

        smtp = connection.get()
        try:
            taken = self._transact(smtp, key, body)
        except (smtplib.SMTPException, OSError) as error:
            connection.close()
            raise self._no_answer(error) from None
        if taken:
            self._had.pop(key, None)
        return taken

    def _transact(
        self, smtp: smtplib.SMTP, key: tuple[str, int], body: Callable[[], bytes]
    ) -> bool:
        had = self._had.setdefault(key, set())
        self._expect(smtp.mail(self._sender), smtp)
        later, refused, chosen = None, [], []
        for place, recipient in enumerate(self._recipients):
            if place in had:
                continue
            code = int(smtp.rcpt(recipient)[0])
            then = rule_for("email recipient", code).then
            if then == "accepted":
                chosen.append(place)
            elif then == "retry":
                later = code
            else:
                refused.append((place, code))
        if not chosen:
            smtp.rset()
        else:
            code = int(smtp.data(body())[0])
            rule = rule_for("email", code)
            if rule.then in {"retry", "fatal"}:
                smtp.rset()
                raise rule.trouble(WHAT, f"SMTP {code}", _RETRY_SECONDS)
            if rule.then != "accepted":
                return False
            had.update(chosen)
        self._report(refused)
        if later is not None:
            had.update(place for place, _ in refused)  # told once
            raise rule_for("email recipient", later).trouble(
                WHAT, f"SMTP {later} for a recipient", _RETRY_SECONDS
            )
        if not chosen and len(refused) == len(self._recipients):
            raise FatalError(
                f"{WHAT}: refuses every recipient (SMTP {refused[0][1]}); check recipients"
            )
        return True

    def _report(self, refused: Sequence[tuple[int, int]]) -> None:
        for place, code in refused:
            self._tell(
                f"{WHAT}: refuses recipient {place + 1} of {len(self._recipients)} (SMTP {code}); "
                "check recipients"
            )

    @staticmethod
    def _expect(answer: tuple[int, bytes], smtp: smtplib.SMTP) -> None:
        rule = rule_for("email sender", int(answer[0]))
        if rule.then != "accepted":
            smtp.rset()
            raise rule.trouble(WHAT, f"SMTP {answer[0]}", _RETRY_SECONDS)

    def _connect(self) -> smtplib.SMTP:
        name = self._sender.rpartition("@")[2]
        try:
            smtp: smtplib.SMTP
            if self._security == "tls":
                smtp = smtplib.SMTP_SSL(
                    self._host, self._port, name, timeout=_SECONDS, context=self._context()
                )
            else:
                smtp = smtplib.SMTP(self._host, self._port, name, timeout=_SECONDS)
        except (smtplib.SMTPException, OSError) as error:
            raise self._no_answer(error) from None
        try:
            self._greet(smtp)
        except (smtplib.SMTPException, OSError) as error:
            smtp.close()
            raise self._no_answer(error) from None
        except BaseException:
            smtp.close()
            raise
        return smtp

    def _greet(self, smtp: smtplib.SMTP) -> None:
        smtp.ehlo_or_helo_if_needed()
        if self._security == "starttls":
            try:
                smtp.starttls(context=self._context())
            except smtplib.SMTPNotSupportedError:
                raise FatalError(
                    f'{WHAT}: {self._host} offers no STARTTLS; set security = "tls" and its port'
                ) from None
            smtp.ehlo()
        if self._login is None:
            return
        try:
            smtp.login(self._login.user, self._login.password())
        except smtplib.SMTPAuthenticationError as error:
            # Of several ways to sign in this is the last one's answer: whatever it says for good
            # is about the credential. The cause holds its words, which may quote the user.
            rule = rule_for("email", error.smtp_code)
            if rule.then == "reject":
                rule = rule_for("email", _CREDENTIAL_REFUSED)
            told = f"SMTP {error.smtp_code}"
            raise rule.trouble(WHAT, told, _RETRY_SECONDS) from None
        except smtplib.SMTPNotSupportedError:
            raise FatalError(
                f"{WHAT}: {self._host} offers no sign-in here; leave out user, or use another port"
            ) from None

    def _context(self) -> ssl.SSLContext:
        if self._ca_file is None:
            return ssl.create_default_context()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        load_authorities(context, self._ca_file)
        return context

    def _no_answer(self, error: Exception) -> Exception:
        if isinstance(error, ssl.SSLCertVerificationError):
            return AuthError(
                f"{WHAT}: the certificate of {self._host} is not to be trusted; name its authority "
                "with ca_file"
            )
        if isinstance(error, smtplib.SMTPResponseException):
            rule = rule_for("email", error.smtp_code)
            return rule.trouble(WHAT, f"SMTP {error.smtp_code}", _RETRY_SECONDS)
        return RetriableError(
            f"{WHAT}: no whole answer ({type(error).__name__}); check host, port and security",
            retry_after=_RETRY_SECONDS,
        )


class _Lazy:
    """A connection that is made when it is first needed, and anew after trouble."""

    def __init__(self, connect: Callable[[], smtplib.SMTP]) -> None:
        self._connect = connect
        self._smtp: smtplib.SMTP | None = None

    def get(self) -> smtplib.SMTP:
        if self._smtp is None:
            self._smtp = self._connect()
        return self._smtp

    def close(self) -> None:
        if self._smtp is not None:
            with suppress(smtplib.SMTPException, OSError):
                self._smtp.quit()
            self._smtp.close()
            self._smtp = None
