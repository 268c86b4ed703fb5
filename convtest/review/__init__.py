"""What changed and waits for somebody to look at it: recordings, snapshots, and those of a revision."""
