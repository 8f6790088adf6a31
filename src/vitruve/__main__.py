"""`python -m vitruve` is the command `vitruve`."""

from vitruve.cli import main

main()
