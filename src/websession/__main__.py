"""`python -m websession`: the same as the command `websession`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
