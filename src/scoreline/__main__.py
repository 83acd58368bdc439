"""``python -m scoreline``."""

from scoreline.cli import main

if __name__ == "__main__":
    main()
