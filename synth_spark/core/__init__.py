"""Words that every room uses: batches, seeds, shelves, ports, progress."""
