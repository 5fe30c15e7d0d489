"""`refresh.overhead`: arrival of the last file to the new generation answering, beside the same work as one plain script."""
