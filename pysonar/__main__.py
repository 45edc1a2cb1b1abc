"""`python -m pysonar`."""

import sys

from pysonar.cli import main

if __name__ == "__main__":
    sys.exit(main())
