"""The wire for clients elsewhere: a loopback model endpoint that records, replays and injects faults."""
