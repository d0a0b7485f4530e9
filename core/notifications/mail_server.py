"""The installation's SMTP server, as its settings name it."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage

from core.notifications.attempts import Result
from core.settings import Settings

_SECONDS = 15.0


@contextmanager
def connected(settings: Settings, seconds: float = _SECONDS) -> Iterator[smtplib.SMTP]:
    """A connection that is encrypted and signed in as the settings say.

    Raises:
        OSError: it is not there, or refuses (`smtplib.SMTPException` is one).
    """
    context = ssl.create_default_context()
    host, port = settings.smtp_host, settings.smtp_port
    if settings.smtp_security == "tls":
        server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=seconds, context=context)
    else:
        server = smtplib.SMTP(host, port, timeout=seconds)
    with server:
        if settings.smtp_security == "starttls":
            server.starttls(context=context)
        if settings.smtp_user:
            server.login(settings.smtp_user, settings.smtp_password.get_secret_value())
        yield server


def send(server: smtplib.SMTP, message: EmailMessage) -> Result:
    """Hand one message over; how that ended.

    Raises:
        smtplib.SMTPServerDisconnected: the connection is gone.
    """
    try:
        server.send_message(message)
    except smtplib.SMTPServerDisconnected:
        raise
    except smtplib.SMTPRecipientsRefused as error:
        code, words = next(iter(error.recipients.values()))
        return _refused(code, words)
    except smtplib.SMTPResponseException as error:
        return _refused(error.smtp_code, error.smtp_error)
    except (smtplib.SMTPException, ValueError) as error:
        return Result(error=f"Not sent: {error}", final=True)
    return Result(250)


def _refused(code: int, words: bytes | str) -> Result:
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    # By SMTP's rules 4xx may go better later, 5xx never.
    return Result(code, f"The mail server refused it: {code} {' '.join(text.split())}", final=code >= 500)
