"""How many inputs hypothesis invents for each edge: some seconds of it in the suite.

LIPGAN_FUZZ: how many; `make fuzz` takes 2000, a minute or more
"""

import os

EXAMPLES = int(os.environ.get("LIPGAN_FUZZ", "60"))
