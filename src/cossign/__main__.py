"""`python -m cossign`: the command line."""

import sys

from cossign.cli import main

if __name__ == "__main__":
    sys.exit(main())
