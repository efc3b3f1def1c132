"""``python -m lcrp``."""

from lcrp.cli import main

if __name__ == "__main__":
    main()
