"""`python -m cli` is `fenqi`."""

from cli import main

main()
