"""The page for analysts: what the tables say, in a browser."""
