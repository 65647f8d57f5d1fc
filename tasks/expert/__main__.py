"""Stage `expert` without Prefect: `python -m tasks.expert`."""

import sys

from tasks.core import config, paths
from tasks.core.errors import UserError
from tasks.core.progress import say
from tasks.expert.stage import run

if __name__ == "__main__":
    try:
        say(run(config.load(paths.PARAMS)))
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_status)
