"""What a look for arrivals costs, in a bucket of a hundred and of a hundred thousand keys."""
