"""The families, one module or package each: facts, state, merge and contribution, all pure."""
