"""Social attributes of a post: counts in its text, figures of its account, as categories."""
