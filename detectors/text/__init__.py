"""What text detectors read of a content: its normalised text, and why it is not scored."""
