"""An item's outcome as plain data: what was played, said, sent and found, passing items included."""
