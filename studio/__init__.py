"""The window of Slim Studio: draws snapshots, sends edits, never computes."""
