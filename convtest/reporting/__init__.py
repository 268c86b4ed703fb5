"""Results and transcripts as text for people."""
