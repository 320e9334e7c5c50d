"""What `m2aenet synthesize` is made of: its settings, the files of a set, the samples, the picture of them."""
