"""``python -m chunkmed``."""

from chunkmed.cli import main

if __name__ == "__main__":
    main()
