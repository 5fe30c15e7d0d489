"""The California housing data, as the example system reads it."""
