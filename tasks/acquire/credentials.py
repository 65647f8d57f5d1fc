"""User and password of a site, read from the environment or netrc, used in requests and written nowhere.

LIPGAN_LRS2_USER, LIPGAN_LRS2_PASSWORD   take precedence over ~/.netrc (or the file named by NETRC)
"""

import netrc
import os
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from tasks.core.errors import UserError

USER, PASSWORD = "LIPGAN_LRS2_USER", "LIPGAN_LRS2_PASSWORD"


def of(url: str) -> httpx.BasicAuth:
    """The login for the host of `url`.  Errors: UserError if user or password is missing."""
    user, password = os.environ.get(USER, ""), os.environ.get(PASSWORD, "")
    if user and password:
        return httpx.BasicAuth(user, password)
    if user or password:
        raise UserError(f"{PASSWORD if user else USER} is not set, but the other one is; set both")
    host = urlsplit(url).hostname or ""
    file = Path(os.environ.get("NETRC") or Path.home() / ".netrc")
    try:
        login = netrc.netrc(file).authenticators(host)
    except (FileNotFoundError, PermissionError):
        login = None
    except netrc.NetrcParseError as error:  # its own message may contain a password
        raise UserError(f"{file}:{error.lineno}: not a netrc file") from None
    if not login or not login[0] or not login[2]:
        raise UserError(
            f"no user and password for {host}: set {USER} and {PASSWORD}, or write "
            f"`machine {host} login ... password ...` into {file}"
        )
    return httpx.BasicAuth(login[0], login[2])
