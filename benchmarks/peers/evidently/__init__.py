"""Evidently, https://docs.evidentlyai.com."""
