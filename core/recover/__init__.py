"""Recovery: what training gives back of a compressed model's answers; codes, masks and bytes stay as they are."""
