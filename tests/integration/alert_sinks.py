"""Local receivers of alerts: a webhook and a mail server."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_string
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET = "path-that-nobody-may-see"


@dataclass
class Sinks:
    """Received alerts, and the Airflow settings that send alerts here."""

    posts: list[dict[str, Any]] = field(default_factory=list)
    mails: list[EmailMessage] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)

    def mail_about(self, section: str) -> EmailMessage | None:
        """Return the first mail whose subject contains `section`."""
        return next((mail for mail in self.mails if section in mail["Subject"]), None)

    def of(self, dag_id: str) -> list[dict[str, Any]]:
        """Return the webhook posts about a DAG."""
        return [post for post in self.posts if post["dag_id"] == dag_id]


@contextmanager
def listening_sinks() -> Iterator[Sinks]:
    """Run both receivers while the block runs."""
    sinks = Sinks()

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == f"/{SECRET}"
            sinks.posts.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *arguments: Any) -> None:
            """Keep the test output free of request logs."""

    class Mail(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.say("220 sink")
            while line := self.rfile.readline().decode().strip():
                if line.upper() == "DATA":
                    self.say("354 go on")
                    lines = []
                    while (text := self.rfile.readline().decode().rstrip("\r\n")) != ".":
                        lines.append(text)
                    sinks.mails.append(message_from_string("\n".join(lines), policy=default))
                elif line.upper() == "QUIT":
                    self.say("221 bye")
                    return
                self.say("250 ok")

        def say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

    hook = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    mail = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mail)
    smtp = {
        "conn_type": "smtp",
        "host": "127.0.0.1",
        "port": mail.server_address[1],
        "extra": {"disable_ssl": True, "disable_tls": True, "from_email": "airflow@example.org", "retry_limit": 1},
    }
    sinks.settings = {
        "METAALEXPORT_ALERT_WEBHOOK": f"http://127.0.0.1:{hook.server_address[1]}/{SECRET}",
        "METAALEXPORT_ALERT_MAIL": "ops@example.org",
        "METAALEXPORT_AIRFLOW_CONN_SMTP_DEFAULT": json.dumps(smtp),
    }
    for server in (hook, mail):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield sinks
    finally:
        for server in (hook, mail):
            server.shutdown()
            server.server_close()
