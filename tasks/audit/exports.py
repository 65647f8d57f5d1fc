"""What the lineage is written out as, for other tools and for people: OpenLineage, Croissant with PROV, a model card.

All of it is made from the commit, its dvc.lock and its index; none of it is a source of anything.
"""

import json
from pathlib import Path

from tasks.audit import chain, croissant, model_card
from tasks.audit import openlineage as export_openlineage
from tasks.core.errors import UserError
from tasks.core.files import write_atomic
from tasks.core.progress import say


def run(folder: Path) -> list[Path]:
    """Write the three into `folder`; return their paths.

    Errors: UserError where the extra `lineage` is not installed, or the commit holds no data.
    """
    try:
        import mlcroissant  # noqa: F401
        import openlineage.client  # noqa: F401
    except ImportError as error:
        raise UserError(f"{error.name} is not installed; `pip install -e .[lineage]`") from error
    case = chain.open_case(without_raw=True)
    written = [folder / "croissant.json", folder / "openlineage.jsonl", folder / "MODEL_CARD.md"]
    write_atomic(written[0], json.dumps(croissant.document(case, folder), indent=2) + "\n")
    events = export_openlineage.events(case)
    write_atomic(written[1], export_openlineage.text(events))
    write_atomic(written[2], model_card.card(case))
    if told := export_openlineage.send(events):
        say(told)
    return written
