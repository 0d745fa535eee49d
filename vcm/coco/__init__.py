"""COCO files as tools write them, checked when they are opened: no number is wrong later."""
