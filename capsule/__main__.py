"""`capsule`, and `python -m capsule`. It loads next to nothing itself, so that Ctrl-C finds it at work."""

import sys


def main() -> int:
    """Run the command line and return its exit code; Ctrl-C while that loads is no other than later on."""
    # Where trio is installed, httpx would load it with its first client, 0.1 s, for what nobody here does.
    sys.modules.setdefault("trio", None)  # type: ignore[arg-type]
    try:
        from capsule.cli import main as run

        return run()
    except KeyboardInterrupt:
        if sys.argv[1:2] == ["run"]:
            print("Stopped. Nothing is lost; start again with the same command.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
