"""Servers that a variable names: does one answer? A few seconds, then one line; this machine never through a proxy."""

import ipaddress
import os
import socket
import threading
from urllib.parse import SplitResult, urlsplit

from tasks.core.errors import UserError

ANSWER_S = 5.0  # for a connection, and again for an answer
PATIENCE_S = 8.0  # in all, also for a name server that says nothing
PORTS = {"http": 80, "https": 443, "tcp": 8786, "tls": 8786}
NOT_FOUND = 404
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def is_loopback(host: str | None) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def keep_loopback_direct() -> None:
    """With a proxy in the environment: this machine is not asked through it, by any library or child process."""
    if any(
        os.environ.get(name)
        for scheme in ("http", "https", "all")
        for name in (f"{scheme}_proxy", f"{scheme}_proxy".upper())
    ):
        for name in ("NO_PROXY", "no_proxy"):
            known = [host.strip() for host in os.environ.get(name, "").split(",") if host.strip()]
            os.environ[name] = ",".join([*known, *(host for host in LOOPBACK if host not in known)])


def demand(setting: str, address: str, path: str | None = None, advice: str = "") -> None:
    """Errors: UserError if nothing answers at the address that `setting` names.

    path    of an HTTP server: what is asked for. "/": any answer will do; another: one that is no web page and not
            "not found", as of a server of another kind. None: a connection is enough
    advice  what to do, beside starting the server
    """
    parts = parsed(setting, address)
    why: list[str] = []

    def ask() -> None:
        why.append(problem(parts, path))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    reason = why[0] if why else f"no answer within {PATIENCE_S:g} s"
    if reason:
        shown = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()  # without user and password
        raise UserError(
            f"{setting}: {shown} does not answer ({reason}); start that server, or {advice or f'unset {setting}'}"
        )


def parsed(setting: str, address: str) -> SplitResult:
    """Errors: UserError for what is no address of a server"""
    try:
        parts = urlsplit(address if "://" in address else f"tcp://{address}")
        if parts.hostname and (parts.port or parts.scheme in PORTS):
            return parts
    except ValueError:  # a port that is no number, a bracket that does not close
        pass
    raise UserError(f"{setting}: {address[:100]!r} is no address of a server; wanted SCHEME://HOST:PORT")


def problem(parts: SplitResult, path: str | None) -> str:
    """Why a server does not answer; "" if it does."""
    if path is None:
        try:
            socket.create_connection((str(parts.hostname), parts.port or PORTS[parts.scheme]), ANSWER_S).close()
        except OSError as error:
            return error.strerror or str(error)
        return ""
    import httpx

    url = parts._replace(path=parts.path.rstrip("/") + path, query="", fragment="").geturl()
    try:
        answer = httpx.get(url, timeout=ANSWER_S, trust_env=not is_loopback(parts.hostname))
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, OSError) as error:
        return " ".join(str(error).split()) or type(error).__name__
    page = answer.content.lstrip()[:1] == b"<"  # MLflow calls its plain OK text/html
    if path != "/" and (answer.status_code == NOT_FOUND or page):
        return f"a server of another kind answers: HTTP {answer.status_code}"
    return ""
