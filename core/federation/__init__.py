"""A federation whose clients are other machines: Flower's processes carry the messages, the rounds are core.recover's own.

Over the wire go arrays, numbers and the model's description (config and tokenizer files): no code, and nothing that is unpickled."""
