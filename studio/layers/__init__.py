"""The layer tree: model and view."""
