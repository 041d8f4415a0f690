"""`python -m digitstream` is the command `digitstream`."""

from digitstream.cli import main

main()
