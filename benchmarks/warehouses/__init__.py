"""`warehouses.*`: each warehouse's loads, unloads and reads by the platform, beside its own fastest way to do the same."""
