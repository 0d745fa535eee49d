"""Image compression for machines, steered by words."""
