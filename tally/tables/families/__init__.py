"""One file a kind of subject: its facts, its state, its merge and its contribution, all pure."""
