"""Is a text praise or criticism? Three models from feed-forward to transformer, each showing which words decided."""
