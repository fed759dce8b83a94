"""The layer-wise solver that pruners and quantizers share: second moments in, rounded or pruned rows out."""
