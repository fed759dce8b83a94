"""The headless engine: opens, slims, measures and exports neural networks; it never imports Qt."""
