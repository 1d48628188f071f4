"""What the control plane knows, kept in the state directory from one life to the next."""
