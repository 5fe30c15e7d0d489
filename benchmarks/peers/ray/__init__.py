"""Ray Serve, https://docs.ray.io/en/latest/serve/."""
