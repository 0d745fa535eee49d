"""Metrics of pictures and of task models' results."""
