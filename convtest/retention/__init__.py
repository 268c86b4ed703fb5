"""How much of what it was told a conversation holds, over distance and disturbance: plain data and pure functions."""
