"""What adapters ask of AWS: recorded while tests run, kept as data, shown as the permissions that each needs."""
