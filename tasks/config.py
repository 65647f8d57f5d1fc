"""The name of tasks/core/config.py before version 0.2, kept for `python -m tasks.config`, which was in the Makefile."""

import sys

if __name__ != "__main__":
    raise ModuleNotFoundError("tasks.config is tasks.core.config now", name=__name__)
sys.stderr.write("error: tasks.config is tasks.core.config now; run `python -m tasks.core.config`\n")
raise SystemExit(2)
