"""One file per way of making records."""
