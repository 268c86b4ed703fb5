"""Results and cassettes as text for people."""
