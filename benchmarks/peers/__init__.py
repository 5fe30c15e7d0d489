"""What mlplatform is measured beside: each peer has an environment of its own and a small program."""
