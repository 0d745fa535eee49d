"""What runs in a bundle of `vcm export --bundle`: no torch, no Pillow, no click."""
