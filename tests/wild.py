"""How many inputs hypothesis invents for each edge: some seconds of it in the suite.

LIPGAN_FUZZ=3000 python -m pytest -k "any_" tests      for a minute or more
"""

import os

EXAMPLES = int(os.environ.get("LIPGAN_FUZZ", "60"))
