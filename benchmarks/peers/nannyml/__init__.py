"""NannyML, https://nannyml.readthedocs.io."""
