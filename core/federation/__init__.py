"""A federation whose clients are other machines: Flower's processes carry the messages, the rounds are core.recover's own.

Over the wire go arrays, numbers and the model's description (config and tokenizer files): no code, and nothing that is unpickled."""

import os

from ..resources import cache_root

# Before Flower is imported: it reports nothing home, and what it keeps lies in the studio's cache, not in the user's home folder.
os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")
os.environ.setdefault("FLWR_HOME", str(cache_root() / "flower"))
