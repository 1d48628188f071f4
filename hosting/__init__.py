"""Facts and pure rules of SageMaker hosting. Standard library only."""
