"""What should exist: the AWS control APIs, held in one process.

SageMaker's hosting API and CloudFormation's execution are ours; the other services are moto's.
"""
