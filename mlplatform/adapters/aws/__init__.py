"""What all adapters of AWS services share: clients, settings of a place, errors."""
