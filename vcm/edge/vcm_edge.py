"""The program of a bundle that `vcm export --bundle` wrote: python vcm_edge.py --help."""

from pathlib import Path

from vcm.edge.command import main

if __name__ == "__main__":
    main(Path(__file__).resolve().parent)
