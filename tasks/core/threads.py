"""How the threads of numeric libraries wait for one another, set before any of them is loaded."""

import os

# Looks at its flag before a waiting thread of GNU's OpenMP, which torch has, goes to sleep: about half a millisecond.
# Unset they are 300,000, many milliseconds; beside a neighbour the thread that is waited for has no core meanwhile,
# because the one that waits spins on it. With none at all (OMP_WAIT_POLICY=PASSIVE) every layer costs two wake-ups.
SETTINGS = {"GOMP_SPINCOUNT": "10000"}


def settle() -> None:
    """For this process and those that it starts; what the user has set stays."""
    if "OMP_WAIT_POLICY" not in os.environ:
        for name, value in SETTINGS.items():
            os.environ.setdefault(name, value)
