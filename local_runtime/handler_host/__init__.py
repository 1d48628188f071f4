"""Serve one SageMaker script-mode handler in a process of its own; standard library only."""
