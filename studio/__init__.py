"""The window: thin views over one session."""
