"""`python -m flows COMMAND`: see flows/cli.py."""

from flows.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
