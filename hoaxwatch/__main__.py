"""python -m hoaxwatch: the same as the command hoaxwatch."""

from hoaxwatch.cli import main

if __name__ == "__main__":
    main()
