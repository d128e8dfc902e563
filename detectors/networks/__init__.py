"""The networks of detectors that read whole posts, and the blocks they are made of."""
