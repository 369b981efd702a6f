"""What every app of the gallery shares: the training runtime, the demo shell, readers, layers and losses."""
