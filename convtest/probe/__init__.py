"""What one client does: measured as a policy, and proved by the conformance suite."""
