"""How much a task model still gets right at how many bits: `vcm eval`."""
