"""Named edits of what a client sends, yields and does: each stands for a bug of real clients, and has to be found."""
