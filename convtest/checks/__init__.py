"""What a transcript must satisfy."""
