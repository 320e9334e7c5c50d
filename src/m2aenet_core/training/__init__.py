"""What a training run is made of; the command is `m2aenet_core.train`."""
