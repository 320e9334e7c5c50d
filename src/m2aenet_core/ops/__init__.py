"""Pure functions on tensors: no weights, no state."""
