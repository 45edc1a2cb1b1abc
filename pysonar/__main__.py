"""`pysonar`, and `python -m pysonar`. It loads next to nothing itself, so that Ctrl-C finds it at work."""

import sys

from sonar.starting import start_lightly


def main() -> int:
    """Run the command line and return its exit code; Ctrl-C while that loads is no other than later on."""
    start_lightly()
    try:
        from pysonar.cli import main as run

        return run()
    except KeyboardInterrupt:
        if sys.argv[1:2] in (["run"], ["resume"]):
            print("Stopped. Nothing is lost; start again with the same command.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
