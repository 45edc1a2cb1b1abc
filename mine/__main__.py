"""`python -m mine`."""

import sys

from mine.cli import main

if __name__ == "__main__":
    sys.exit(main())
