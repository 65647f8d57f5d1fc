"""Stage `train` without Prefect, in one process or several: `python -m tasks.train`, `torchrun -m tasks.train`."""

import sys

from tasks.core import config, paths, threads
from tasks.core.errors import UserError
from tasks.core.progress import say

if __name__ == "__main__":
    threads.settle()  # before torch is loaded
    from tasks.core import distributed as ranks
    from tasks.train.stage import run

    try:
        line = run(config.load(paths.PARAMS))
        if ranks.first_process():
            say(line)
    except UserError as error:
        if ranks.first_here():
            sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_status)
