"""`python -m vrodent` is `vrodent`."""

from vrodent.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
