"""Rollout of generations, as pure functions."""
