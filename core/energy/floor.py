"""The physics floor: what the arithmetic and the bytes cost at the least on any chip of today; an explanation, never the headline."""

from __future__ import annotations

# Joules of one multiply-add: the product in its type, the sum in float32 or int32. 7 nm, Jouppi et al., "Ten lessons from three generations
# shaped Google's TPUv4i" (ISCA 2021), table 2; at 45 nm they are some ten times as much (Horowitz, ISSCC 2014).
MAC = {"float32": 1.31e-12 + 0.38e-12, "float16": 0.34e-12 + 0.38e-12, "int8": 0.07e-12 + 0.03e-12}
# Joules of a byte: 3.9 pJ a bit is the lowest of respectable figures for memory (HBM2, its interface alone; others go up to 41 pJ a bit);
# 14 pJ for 64 bits out of a megabyte of SRAM (the same table).
MEMORY = 8 * 3.9e-12
CACHE = 14e-12 / 8
