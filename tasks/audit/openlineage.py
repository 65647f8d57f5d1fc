"""The stages of a commit as OpenLineage events, e.g. for Marquez or DataHub: one COMPLETE event per stage.

The run id depends on the stage and its lock alone, so that a second export adds nothing to a catalogue.
"""

import os
from typing import Any

from tasks.audit.links import Case
from tasks.core import paths, servers
from tasks.core.errors import UserError
from tasks.provenance import dvc_lock, git_revision

NAMESPACE, DATA = "lipgan-pipeline", "dvc"


def events(case: Case) -> list[Any]:
    """openlineage.client.event_v2.RunEvent of every stage, in the order of dvc.lock."""
    from openlineage.client import event_v2, facet_v2, uuid

    when = git_revision.date(case.commit)
    produced = dvc_lock.outs_of(case.lock)
    runs = []
    for name, stage in case.lock.items():
        code = facet_v2.source_code_location_job.SourceCodeLocationJobFacet(
            type="git", url=f"urn:git:{case.commit}", path=f"flows/{name}.py", version=case.commit
        )
        kind = facet_v2.job_type_job.JobTypeJobFacet(processingType="BATCH", integration="DVC", jobType="STAGE")
        params = facet_v2.execution_parameters_run.ExecutionParametersRunFacet(
            parameters=[
                facet_v2.execution_parameters_run.ExecutionParameter(key=key, value=str(value))
                for key, value in sorted(stage.params.items())
            ]
        )
        run_id = uuid.generate_static_uuid(when, f"{case.commit} {name} {sorted(stage.outs.items())}".encode())
        data_deps = {path: digest for path, digest in stage.deps.items() if path in produced or path == str(paths.RAW)}
        runs.append(
            event_v2.RunEvent(
                eventType=event_v2.RunState.COMPLETE,
                eventTime=when.isoformat(),
                producer=f"urn:git:{case.commit}",
                run=event_v2.Run(runId=str(run_id), facets={"executionParameters": params}),
                job=event_v2.Job(NAMESPACE, name, facets={"sourceCodeLocation": code, "jobType": kind}),
                inputs=[
                    event_v2.InputDataset(DATA, path, facets=_version(facet_v2, digest))
                    for path, digest in data_deps.items()
                ],
                outputs=[
                    event_v2.OutputDataset(DATA, path, facets=_version(facet_v2, digest))
                    for path, digest in stage.outs.items()
                ],
            )
        )
    return runs


def _version(facet_v2: Any, digest: str) -> dict[str, Any]:
    return {"version": facet_v2.dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion=f"md5:{digest}")}


def text(runs: list[Any]) -> str:
    """One event per line."""
    from openlineage.client.serde import Serde

    return "".join(Serde.to_json(event) + "\n" for event in runs)


def demand_server() -> None:
    """Errors: UserError if OPENLINEAGE_URL is set and nothing answers there"""
    if url := os.environ.get("OPENLINEAGE_URL"):
        servers.demand("OPENLINEAGE_URL", url, "/", "unset OPENLINEAGE_URL: the events are then only written")


def send(runs: list[Any]) -> str:
    """Send the events to OPENLINEAGE_URL, if it is set; returns a summary line, empty if it is not.

    Errors: UserError if the address does not accept events.
    """
    if not (url := os.environ.get("OPENLINEAGE_URL")):
        return ""
    import httpx
    from openlineage.client import OpenLineageClient

    client = OpenLineageClient(config={"transport": {"type": "http", "url": url, "timeout": 4, "retry": {"total": 1}}})
    try:
        for event in runs:
            client.emit(event)
    except (OSError, httpx.HTTPError) as error:  # requests' errors are OSErrors
        raise UserError(f"OPENLINEAGE_URL accepts no events: {type(error).__name__}; the file is written") from error
    return f"{len(runs)} events sent to OPENLINEAGE_URL"
