"""Exports of the lineage: OpenLineage events, Croissant with PROV, and a model card.

All are derived from the commit, its dvc.lock and its index; nothing reads them back.
"""

import json
from pathlib import Path

from tasks.audit import chain, croissant, model_card, openlineage
from tasks.core.errors import UserError
from tasks.core.files import write_atomic
from tasks.core.progress import say


def run(folder: Path) -> list[Path]:
    """Write the three into `folder`; return their paths.

    Errors: UserError if the extra `lineage` is not installed, or the commit has no data.
    """
    try:
        import mlcroissant  # noqa: F401
        import openlineage.client as _  # noqa: F401
    except ImportError as error:
        raise UserError(f"{error.name} is not installed; `pip install -e .[lineage]`") from error
    openlineage.demand_server()
    case = chain.open_case(without_raw=True)
    written = [folder / "croissant.json", folder / "openlineage.jsonl", folder / "MODEL_CARD.md"]
    write_atomic(written[0], json.dumps(croissant.document(case, folder), indent=2) + "\n")
    events = openlineage.events(case)
    write_atomic(written[1], openlineage.text(events))
    write_atomic(written[2], model_card.card(case))
    if sent := openlineage.send(events):
        say(sent)
    return written
