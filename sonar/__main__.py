"""`sonar`, and `python -m sonar`. It loads next to nothing itself, so that Ctrl-C finds it at work."""

import sys

from sonar.starting import start_lightly


def main() -> int:
    """Run the command line and return its exit code; Ctrl-C while that loads is no other than later on."""
    start_lightly()
    try:
        from sonar.cli import main as run

        return run()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
