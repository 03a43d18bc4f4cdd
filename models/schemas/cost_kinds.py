"""What a cost is for, as chargeback rules and statements call it."""

KIND_OF_COMPONENT = {
    "tokens": "usage",
    "gpu_serving": "serving",
    "gpu_starting": "cold_start",
    "gpu_idle": "idle",
    "gpu_draining": "draining",
    "gpu_failed": "failed",
    "gpu_padding": "padding",
    "gpu_unheld": "unheld",
    "gpu_unused_commitment": "unused_commitment",
    "other_charges": "overhead",
}
"""Component of mart.spend_daily -> kind of cost."""
BILL_KINDS = ("fee", "credit", "true_up")
"""What a bill asks for beyond the ledger: taxes and fees, credits and refunds, and all else."""
COST_KINDS = (*KIND_OF_COMPONENT.values(), "correction", *BILL_KINDS)
"""Every kind of cost: those of the ledger, corrections of closed months, and what bills add."""
