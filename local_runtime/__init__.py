"""SageMaker hosting on one machine: the same API, the same containers' contract, no account."""
