"""`python -m vcm` is the command line."""

from vcm.cli import main

main()
