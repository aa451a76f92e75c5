"""Who may log in: the user table, passwords, SCRAM, tokens and invite codes."""
