"""Mails: encrypted, known again, one thread for each incident, and no header of a stranger's."""

from __future__ import annotations

import ssl
from contextlib import contextmanager

import pytest
import trustme

from connectors.sinks.mail import Login, MailSink
from connectors.sinks.mail_message import html, mail
from pipeline.model.errors import AuthError, FatalError, RetriableError
from tests.services.smtp import PASSWORD, USER, MailServer, receiving
from tests.sinks.notices import LINK, MESSAGE, group, notice, opened, record, resolved

SENDER = "outrider@example.com"
TO = ("oncall@example.com", "desk@example.com", "lead@example.com")


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority, tmp_path_factory):
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return path


@pytest.fixture(scope="module")
def tls(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


@contextmanager
def mailing(server=None, **options):
    server = server or MailServer()
    told = []
    with receiving(server):
        sink = MailSink(
            "localhost",
            server.port,
            sender=SENDER,
            recipients=TO,
            message=MESSAGE,
            **{"security": "none", "tell": told.append, **options},
        )
        yield sink, server, told


def made(document):
    return mail(document, MESSAGE(document), sender=SENDER, recipients=TO)


def test_a_mail_has_a_subject_text_and_html():
    with mailing() as (sink, server, _):
        sink.deliver([notice()])
        ((recipients, message),) = server.mails
    assert recipients == list(TO)
    assert message["Subject"].startswith("HIGH: Outlook for iOS, Outlook for Android")
    assert message["From"] == "Outrider <outrider@example.com>"
    assert message["To"] == ", ".join(TO)
    assert message["Date"] == "Thu, 19 Mar 2026 09:32:00 +0000"
    assert message["Importance"] == "high"
    assert message["Auto-Submitted"] == "auto-generated"
    text = message.get_body(("plain",)).get_content()
    assert "Whose fault  Microsoft's (96 % sure)" in text
    assert LINK in text
    page = message.get_body(("html",)).get_content()
    assert "<th scope" in page
    assert LINK.replace("&", "&amp;") in page


def test_what_is_over_is_not_urgent():
    message = made(resolved())
    assert message["Importance"] is None
    assert message["Subject"].startswith("OVER (was high): ")


def test_all_mails_of_an_incident_stand_in_one_thread():
    first, second, other = (
        made(record("inc-1", 1)),
        made(record("inc-1", 2)),
        made(record("inc-2", 1)),
    )
    assert first["References"] == second["References"] == first["In-Reply-To"]
    assert first["Thread-Topic"] == second["Thread-Topic"]
    assert first["Message-ID"] != second["Message-ID"]
    assert other["References"] != first["References"]


def test_a_mail_that_comes_again_is_the_same_mail_byte_for_byte():
    with mailing() as (sink, server, _):
        server.trouble = lambda command: "lost" if command == "." else None
        with pytest.raises(RetriableError):
            sink.deliver([notice()])
        server.trouble = lambda _command: None
        sink.deliver([notice()])
        first, second = (message for _, message in server.mails)
    assert first.raw == second.raw
    assert first["Message-ID"].endswith(".1@example.com>")


HOSTILE = (
    "Outage\r\nBcc: everybody@example.com\r\n\r\n<script>alert(1)</script>\n.\nMAIL FROM:<x@y>"
)


def test_text_of_a_log_adds_no_header_no_recipient_and_no_script():
    with mailing() as (sink, server, _):
        document = {**notice(opened(headline=HOSTILE)), "notice_id": HOSTILE}
        sink.deliver([document])
        ((recipients, message),) = server.mails
    assert recipients == list(TO)
    assert message["Bcc"] is None
    assert "Bcc: everybody@example.com" in message["Subject"], "it is shown as text"
    page = message.get_body(("html",)).get_content()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert server.commands.count("MAIL") == 1


def test_html_loads_nothing_and_every_line_passes_any_server():
    text = html(MESSAGE(group(12)))
    assert "src=" not in text
    assert "url(" not in text
    assert "and 2 more" in text
    long = made(notice(opened(headline="\u0416" * 70_000)))
    assert max(map(len, long.as_bytes().split(b"\r\n"))) <= 998


def test_starttls_is_verified_and_signs_in(tls, ca_file):
    server = MailServer(tls=tls, sign_in=True)
    with mailing(
        server, security="starttls", ca_file=ca_file, login=Login(USER, lambda: PASSWORD)
    ) as (sink, _, _):
        assert sink.deliver([notice()]).accepted
    assert server.commands.index("STARTTLS") < server.commands.index("AUTH")


def test_tls_from_the_first_byte_on(tls, ca_file):
    with mailing(MailServer(tls=tls, immediate=True), security="tls", ca_file=ca_file) as (
        sink,
        server,
        _,
    ):
        sink.deliver([notice()])
        assert len(server.mails) == 1


@pytest.mark.parametrize(("security", "immediate"), [("starttls", False), ("tls", True)])
def test_a_certificate_that_nobody_vouches_for_gets_no_mail(tls, security, immediate):
    server = MailServer(tls=tls, immediate=immediate)
    with (
        mailing(server, security=security) as (sink, _, _),
        pytest.raises(AuthError, match="name its authority with ca_file"),
    ):
        sink.deliver([notice()])
    assert not server.mails


def test_a_server_without_starttls_gets_no_mail():
    with mailing(security="starttls") as (sink, server, _):
        with pytest.raises(FatalError, match="offers no STARTTLS"):
            sink.deliver([notice()])
        assert "MAIL" not in server.commands


def test_a_wrong_password_is_told_without_user_and_password(tls, ca_file):
    server = MailServer(tls=tls, sign_in=True)
    login = Login(USER, lambda: "wrong-password-77")
    with (
        mailing(server, security="starttls", ca_file=ca_file, login=login) as (sink, _, _),
        pytest.raises(AuthError, match="check user and password_file") as told,
    ):
        sink.deliver([notice()])
    assert USER not in repr(told.value)
    assert "wrong-password-77" not in repr(told.value)
    assert told.value.__cause__ is None


def test_a_server_that_takes_no_sign_in_is_told():
    with (
        mailing(login=Login(USER, lambda: PASSWORD)) as (sink, _, _),
        pytest.raises(FatalError, match="offers no sign-in"),
    ):
        sink.deliver([notice()])


def test_a_server_that_wants_a_sign_in_is_told():
    with (
        mailing(MailServer(sign_in=True)) as (sink, _, _),
        pytest.raises(AuthError, match="set user and password_file"),
    ):
        sink.deliver([notice()])


def test_a_recipient_who_is_refused_for_good_is_told_by_place_and_the_others_have_it():
    with mailing() as (sink, server, told):
        server.codes["desk@example.com"] = 550
        assert sink.deliver([notice()]).accepted
        assert server.mails[0][0] == [TO[0], TO[2]]
    assert told == ["mail server: refuses recipient 2 of 3 (SMTP 550); check recipients"]


def test_a_recipient_who_is_refused_for_now_gets_it_later_and_nobody_twice():
    with mailing() as (sink, server, told):
        server.codes |= {"desk@example.com": 451, "lead@example.com": 550}
        with pytest.raises(RetriableError, match="SMTP 451 for a recipient"):
            sink.deliver([notice()])
        server.codes.pop("desk@example.com")
        assert sink.deliver([notice()]).accepted
        assert [recipients for recipients, _ in server.mails] == [[TO[0]], [TO[1]]]
    assert len(told) == 1, "who is refused for good is told once"


def test_no_recipient_at_all_needs_a_person():
    with mailing() as (sink, server, told):
        server.codes |= dict.fromkeys(TO, 550)
        with pytest.raises(FatalError, match=r"refuses every recipient .*; check recipients"):
            sink.deliver([notice()])
        assert not server.mails
        assert not any("@" in line for line in told)


def test_a_sender_who_is_refused_needs_a_person():
    with mailing() as (sink, server, _):
        server.codes[SENDER] = 553
        with pytest.raises(FatalError, match=r"the sender is refused .*; check sender"):
            sink.deliver([notice()])


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ("451 4.3.0 disk full", RetriableError),
        ("452 4.3.1 not enough space", RetriableError),
        ("552 5.3.4 too large", "rejected"),
        ("554 5.7.1 content refused", "rejected"),
    ],
)
def test_each_answer_to_a_mail_has_its_consequence(answer, outcome):
    with mailing() as (sink, server, _):
        server.trouble = lambda command: answer if command == "." else None
        if outcome == "rejected":
            assert sink.deliver([notice()]).rejected == [("inc-33c65910ec91c732", 1)]
            server.trouble = lambda _command: None
            assert sink.deliver([record("inc-2", 1)]).accepted == [("inc-2", 1)]
            return
        with pytest.raises(outcome) as told:
            sink.deliver([notice()])
        assert told.value.retry_after > 0


def test_many_mails_go_over_one_connection():
    with mailing() as (sink, server, _):
        sink.deliver([record(f"inc-{n}", 1) for n in range(5)])
        assert len(server.mails) == 5
        assert server.connections == 1


def test_a_connection_that_breaks_holds_up_one_mail():
    with mailing() as (sink, server, _):
        troubles = iter(["hang up"])
        server.trouble = lambda command: next(troubles, None) if command == "DATA" else None
        done = sink.deliver([record("inc-1", 1), record("inc-2", 1), record("inc-1", 2)])
        assert list(done.accepted) == [("inc-2", 1)], "revision 2 does not overtake revision 1"
        assert done.retry_after > 0


def test_a_server_that_is_away_is_told():
    sink = MailSink("localhost", 9, sender=SENDER, recipients=TO, message=MESSAGE, security="none")
    with pytest.raises(RetriableError, match="check host, port and security"):
        sink.deliver([notice()])
