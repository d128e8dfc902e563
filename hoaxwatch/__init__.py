"""hoaxwatch: watch misinformation spread."""
