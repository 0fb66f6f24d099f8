"""A mail server: strict about the order of commands, with STARTTLS, a sign-in, and a memory.

Recipients and the sender may be refused for good (550) or for now (451); content may be refused.
The answer to a mail may be lost after the mail was taken.
"""

from __future__ import annotations

import base64
import email
import email.policy
import re
import socketserver
import threading
from contextlib import contextmanager

USER, PASSWORD = "outrider@example.com", "Pw-of-the-mail-tests"  # no real one
_ADDRESS = re.compile(r"(?:FROM|TO):\s*<([^<>\s]*)>.*", re.IGNORECASE)
MOST_BYTES = 10 * 2**20


class MailServer:
    """``mails``: (recipients, message), as taken; ``codes``: answers by address.

    ``trouble``: called with each command of a mail (``MAIL``, ``RCPT``, ``DATA``, ``.``): an answer
    in place of the usual one, ``hang up``, ``lost`` (it does it, and hangs up), or None.
    """

    def __init__(self, *, tls=None, immediate=False, sign_in=False, starttls=True):
        self.tls, self.immediate, self.sign_in = tls, immediate, sign_in
        self.starttls = starttls and tls is not None and not immediate
        self.mails, self.codes, self.commands = [], {}, []
        self.trouble = lambda _command: None
        self.port = 0
        self.users = {USER: PASSWORD}
        self.connections = 0

    def accepted(self):
        keys = [message["Outrider-Key"] for _, message in self.mails]
        return [(key.rpartition(":")[0], int(key.rpartition(":")[2])) for key in keys]


class _HungUpError(Exception):
    pass


class _Talk(socketserver.StreamRequestHandler):
    server: _Server
    disable_nagle_algorithm = True

    def setup(self):
        self.mail = self.server.mail
        if self.mail.immediate:
            self.request = self.mail.tls.wrap_socket(self.request, server_side=True)
        super().setup()
        self.secure, self.user = self.mail.immediate, None
        self.forget()

    def forget(self):
        self.sender, self.recipients = None, []

    def say(self, text):
        self.wfile.write(text.encode() + b"\r\n")
        self.wfile.flush()

    def line(self):
        line = self.rfile.readline(4096)
        if not line.endswith(b"\r\n"):
            raise _HungUpError
        return line[:-2].decode("ascii")

    def handle(self):
        self.mail.connections += 1
        try:
            self.say("220 mail.example.com ESMTP")
            while self.step(self.line()):
                pass
        except (_HungUpError, OSError):
            return

    def step(self, line):
        name, _, rest = line.partition(" ")
        name = name.upper()
        self.mail.commands.append(name)
        known = {
            "EHLO": self.ehlo, "STARTTLS": self.start_tls, "AUTH": self.auth, "MAIL": self.begin,
            "RCPT": self.recipient, "DATA": self.data,
        }  # fmt: skip
        if name == "QUIT":
            self.say("221 bye")
            return False
        if name in {"RSET", "NOOP"}:
            self.forget()
            self.say("250 ok")
        elif name in known:
            answer = self.troubled(name) or known[name](rest)
            if answer:
                self.say(answer)
        else:
            self.say("502 not known")
        return True

    def troubled(self, name):
        found = self.mail.trouble(name) if name in {"MAIL", "RCPT", "DATA", "."} else None
        if found == "hang up":
            raise _HungUpError
        return found

    def ehlo(self, _rest):
        lines = ["mail.example.com", f"SIZE {MOST_BYTES}", "8BITMIME"]
        if self.mail.starttls and not self.secure:
            lines.append("STARTTLS")
        if self.mail.sign_in and (self.secure or self.mail.tls is None):
            lines.append("AUTH PLAIN LOGIN")
        return "\r\n".join([*(f"250-{x}" for x in lines[:-1]), f"250 {lines[-1]}"])

    def start_tls(self, _rest):
        if not self.mail.starttls or self.secure:
            return "502 not now"
        self.say("220 go ahead")
        self.request = self.mail.tls.wrap_socket(self.request, server_side=True)
        self.rfile, self.wfile = self.request.makefile("rb"), self.request.makefile("wb")
        self.secure = True
        self.forget()
        return None

    def auth(self, rest):
        kind, _, given = rest.partition(" ")
        if kind.upper() != "PLAIN":
            return "504 not known"
        _, user, password = base64.b64decode(given).decode().split("\0")
        if self.mail.users.get(user) != password:
            return "535 5.7.8 authentication failed for " + user
        self.user = user
        return "235 ok"

    def begin(self, rest):
        if self.mail.starttls and not self.secure:
            return "530 5.7.0 must issue a STARTTLS command first"
        if self.mail.sign_in and self.user is None:
            return "530 5.7.0 authentication required"
        found = _ADDRESS.fullmatch(rest)
        if found is None or self.sender is not None:
            return "503 bad sequence" if self.sender is not None else "501 no address"
        code = self.mail.codes.get(found[1])
        if code is None:
            self.sender = found[1]
        return f"{code} refused" if code else "250 ok"

    def recipient(self, rest):
        found = _ADDRESS.fullmatch(rest)
        if self.sender is None or found is None:
            return "503 bad sequence"
        code = self.mail.codes.get(found[1])
        if code is None:
            self.recipients.append(found[1])
        return f"{code} refused {found[1]}" if code else "250 ok"

    def data(self, _rest):
        if not self.recipients:
            return "503 no recipients"
        self.say("354 go ahead")
        lines = []
        while (line := self.rfile.readline(2000)) != b".\r\n":
            if not line.endswith(b"\r\n") or len(line) > 1000:
                raise _HungUpError
            lines.append(line.removeprefix(b"."))
        trouble = self.troubled(".")
        if trouble is not None and trouble != "lost":
            self.forget()
            return trouble
        body = b"".join(lines)
        message = email.message_from_bytes(body, policy=email.policy.default)
        if not message["Message-ID"] or len(body) > MOST_BYTES or message.defects:
            self.forget()
            return "554 5.6.0 no message"
        message.raw = body
        self.mail.mails.append((self.recipients, message))
        self.forget()
        if trouble == "lost":
            raise _HungUpError
        return "250 queued"


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    mail: MailServer

    def handle_error(self, *_args):
        """A client that does not trust the certificate hangs up."""


@contextmanager
def receiving(mail):
    """Serve until the block ends, on a port of its own."""
    server = _Server(("127.0.0.1", 0), _Talk)
    server.mail, mail.port = mail, server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield mail
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
