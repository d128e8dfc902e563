"""Pictures as detectors read them: decoded, hashed, resized, encoded."""
