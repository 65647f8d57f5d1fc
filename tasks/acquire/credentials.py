"""User and password of a site: from the environment or netrc, into a request, and nowhere else.

LIPGAN_LRS2_USER, LIPGAN_LRS2_PASSWORD   go before ~/.netrc (or the file that NETRC names)
"""

import netrc
import os
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from tasks.core.errors import UserError

USER, PASSWORD = "LIPGAN_LRS2_USER", "LIPGAN_LRS2_PASSWORD"


def of(url: str) -> httpx.BasicAuth:
    """What to log in with at the host of `url`.  Errors: UserError where there is nothing, or half of it."""
    user, password = os.environ.get(USER, ""), os.environ.get(PASSWORD, "")
    if user and password:
        return httpx.BasicAuth(user, password)
    if user or password:
        raise UserError(f"{PASSWORD if user else USER} is not set; the other one is, and both are needed")
    host = urlsplit(url).hostname or ""
    file = Path(os.environ.get("NETRC") or Path.home() / ".netrc")
    try:
        found = netrc.netrc(file).authenticators(host)
    except (FileNotFoundError, PermissionError):
        found = None
    except netrc.NetrcParseError as error:  # its own words may hold a password
        raise UserError(f"{file}:{error.lineno}: not a netrc file") from None
    if not found or not found[0] or not found[2]:
        raise UserError(
            f"no user and password for {host}: set {USER} and {PASSWORD}, or write "
            f"`machine {host} login ... password ...` into {file}"
        )
    return httpx.BasicAuth(found[0], found[2])
