"""The environment every entry point needs before torch or transformers are loaded."""

from __future__ import annotations

import os

# GOMP_SPINCOUNT: with one competitor two torch threads fall from 206 to 29 tok/s at spinning barriers; the rest keeps libraries quiet.
VARIABLES = {
    "GOMP_SPINCOUNT": "0", "ORT_DISABLE_TELEMETRY": "1", "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false", "TRANSFORMERS_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "DO_NOT_TRACK": "1",
    "RAY_USAGE_STATS_ENABLED": "0", "RAY_task_oom_retries": "1", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_IGNORE_UNHANDLED_ERRORS": "1", "FLWR_TELEMETRY_ENABLED": "0",
}  # fmt: skip


def prepare() -> None:
    """Set what is not set already."""
    for name, value in VARIABLES.items():
        os.environ.setdefault(name, value)
