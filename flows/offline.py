"""Prefect without a server: what its engine asks of one, answered in memory, so that a stage starts in a second.

Prefect 3 has no engine without an API: where PREFECT_API_URL is unset it starts a server of its own, 6 to 7 s for every
stage, which keeps what one process knows. Here the same engine, with its states, retries, timeouts and hooks, has a
client whose requests end in this module. Nothing of the run is kept; for pages and a history start a server
(`make server`) and set PREFECT_API_URL.
"""

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import prefect
from prefect import settings
from prefect.client.orchestration import SyncPrefectClient
from prefect.context import SyncClientContext

from tasks.core.errors import UserError

ADDRESS = "http://in-memory/api"  # no request leaves this process
QUIET: Mapping[Any, Any] = {
    settings.PREFECT_LOGGING_TO_API_ENABLED: False,
    settings.PREFECT_CLIENT_CSRF_SUPPORT_ENABLED: False,
    settings.PREFECT_SERVER_ALLOW_EPHEMERAL_MODE: False,  # a request that escapes fails, and starts no server
    settings.PREFECT_API_KEY: "none",  # with a key and no address Prefect sends no events
    settings.PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,  # nobody listens, and its thread sleeps a second at the end
}


def server() -> str:
    """The address of the user's Prefect server; "" if there is none."""
    return settings.PREFECT_API_URL.value() or ""


@contextmanager
def server_or_memory() -> Iterator[None]:
    """Within it flows run against the server of PREFECT_API_URL, or in memory where that is not set.

    Errors: UserError where that server goes away
    """
    if server() or SyncClientContext.get():
        try:
            yield
        except httpx.TransportError as error:  # Prefect has asked several times
            if not str(error.request.url).startswith(server()):
                raise
            raise UserError(
                f"PREFECT_API_URL: {server()} answers no more ({error}); start that server or unset PREFECT_API_URL, "
                "then run again: finished work is kept"
            ) from None
        return
    with settings.temporary_settings(dict(QUIET)), InMemoryContext():
        yield


def in_memory() -> bool:
    """Whether this is inside `server_or_memory` without a server."""
    return isinstance(SyncClientContext.get(), InMemoryContext)


class InMemoryContext(SyncClientContext):
    """Prefect's place for the client of a thread and of the tasks that it starts."""

    def __init__(self) -> None:
        client = SyncPrefectClient(ADDRESS, httpx_settings={"transport": InMemory()})
        super(SyncClientContext, self).__init__(client=client)


class InMemory(httpx.BaseTransport):
    """Answers the requests of a flow run and its tasks: any new state is accepted."""

    def __init__(self) -> None:
        self._flows: dict[str, str] = {}  # name -> id
        self._runs: dict[str, dict[str, Any]] = {}  # id -> flow run

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api/").strip("/").split("/")
        body = json.loads(request.content or b"{}")
        route: Callable[[str, dict[str, Any]], Any] | None = {
            ("GET", "admin/version"): lambda of, body: prefect.__version__,
            ("POST", "flows"): self._flow,
            ("POST", "flow_runs"): self._begin,
            ("GET", "flow_runs/ID"): lambda of, body: self._runs[of],
            ("PATCH", "flow_runs/ID"): self._update,
            ("POST", "flow_runs/ID/set_state"): self._set_state,
        }.get((request.method, "/".join("ID" if n == 1 and path[0] == "flow_runs" else p for n, p in enumerate(path))))
        if route is None:
            raise NotImplementedError(f"flows/offline.py has no answer to {request.method} {request.url.path}")
        return httpx.Response(200, json=route(path[1] if len(path) > 1 else "", body), request=request)

    def _flow(self, of: str, body: dict[str, Any]) -> dict[str, Any]:
        return {"id": self._flows.setdefault(body["name"], str(uuid.uuid4())), "name": body["name"]}

    def _begin(self, of: str, body: dict[str, Any]) -> dict[str, Any]:
        run = {
            "id": str(uuid.uuid4()),
            "name": "run",
            **{key: value for key, value in body.items() if value is not None},
        }
        self._runs[run["id"]] = run
        self._set_state(run["id"], body)
        return run

    def _update(self, of: str, body: dict[str, Any]) -> None:
        self._runs[of].update({key: value for key, value in body.items() if value is not None})

    def _set_state(self, of: str, body: dict[str, Any]) -> dict[str, Any]:
        state = {"id": str(uuid.uuid4()), "timestamp": datetime.now(UTC).isoformat(), **body["state"]}
        self._runs[of].update(state=state, state_type=state["type"], state_name=state["name"])
        return {"status": "ACCEPT", "state": state, "details": {"type": "accept_details"}}
