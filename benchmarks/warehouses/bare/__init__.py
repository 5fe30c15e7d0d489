"""Each warehouse by its own driver and loader alone: no checks, no quarantine, no receipt, no ledger."""
