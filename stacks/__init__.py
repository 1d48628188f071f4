"""What is deployed together, and how large."""
