"""The web server of the app: pages and routes, for requests that call it by a known host name.

A request under another host's name is refused: with that, no web page can use an app on its visitor's own machine
(DNS rebinding).
"""

import contextlib
import signal
import sys
from functools import partial

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect

from tasks.core.errors import UserError
from tasks.serving import edit_routes, pages, routes
from tasks.serving.connections import TimedProtocol
from tasks.serving.job_queue import JobQueue
from tasks.serving.uploads import without_folders

OWN_HOSTS = ("127.0.0.1", "localhost")


def application(queue: JobQueue, hosts: tuple[str, ...] = OWN_HOSTS) -> FastAPI:
    """`hosts`: names it may be called by, "*" for any."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.state.queue = queue
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))
    app.add_exception_handler(UserError, user_error)
    app.add_exception_handler(ClientDisconnect, gone)
    app.include_router(routes.router)
    app.include_router(edit_routes.router)
    for address, name in pages.PAGES.items():
        page = partial(pages.response, pages.assembled(name))
        app.add_api_route(address, page, response_class=HTMLResponse)
    return app


def user_error(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": without_folders(str(error))}, getattr(error, "http_status", 422))


def gone(request: Request, error: Exception) -> Response:
    """For a client that hung up: nobody reads it."""
    return Response(status_code=400)


def serve(queue: JobQueue, host: str, port: int) -> None:
    """Until a signal ends it.  Errors: UserError where the port is taken."""
    hosts = OWN_HOSTS if host in OWN_HOSTS else ("*",)
    config = uvicorn.Config(
        application(queue, hosts), host=host, port=port, log_level="warning", timeout_graceful_shutdown=2,
        http=TimedProtocol,
    )  # fmt: skip
    server = uvicorn.Server(config)
    # uvicorn raises a signal again when it has closed: it must not end us before the queue is closed
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    try:
        listening = config.bind_socket()
    except (SystemExit, OverflowError) as error:  # uvicorn's way to say that it cannot; a port beyond 65535
        raise UserError(f"port {port} of {host} cannot be used; choose another with --port") from error
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listening])
