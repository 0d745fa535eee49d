"""Task models: networks that look at decoded pictures."""
