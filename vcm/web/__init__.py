"""The local page of `vcm serve`."""
