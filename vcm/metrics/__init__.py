"""Numbers about pictures and detections."""
