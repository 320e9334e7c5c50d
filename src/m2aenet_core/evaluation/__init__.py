"""What `m2aenet evaluate` is made of: what is scored, who competes, the figures of a photo, the report."""
