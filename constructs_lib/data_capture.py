"""Copies of requests and answers, for monitoring a model's quality."""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sagemaker as sagemaker

from constructs_lib.execution_role import ExecutionRole
from hosting import limits, validation


@dataclass(frozen=True, kw_only=True, slots=True)
class DataCapture:
    """Where an endpoint stores samples of what it is asked and what it answers.

    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html
    (2026-11-20)

    Args:
        bucket: that the samples are written to.
        prefix: below which they are written.
        sampling_percentage: of the requests, 0 to 100.
        requests: whether requests are stored.
        answers: whether answers are stored.
        encryption_key: for the samples on the instances' volumes and in the bucket.

    Raises:
        ValueError: the percentage is out of range, or nothing would be stored.
    """

    bucket: s3.IBucket
    prefix: str = "data-capture/"
    sampling_percentage: int = 100
    requests: bool = True
    answers: bool = True
    encryption_key: kms.IKey | None = None

    def __post_init__(self) -> None:
        validation.require(
            validation.within(
                "sampling_percentage", self.sampling_percentage, limits.SAMPLING_PERCENTAGE
            )
        )
        if not self.requests and not self.answers:
            raise ValueError("requests or answers must be stored, got neither")

    def render(self, role: ExecutionRole) -> sagemaker.CfnEndpointConfig.DataCaptureConfigProperty:
        """The configuration's property; ``role`` is allowed to write the samples."""
        role.allow_writing_prefix(self.bucket, self.prefix)
        if self.encryption_key is not None:
            role.allow_encrypting(self.encryption_key)
        modes = [
            *(["Input"] if self.requests else []),
            *(["Output"] if self.answers else []),
        ]
        return sagemaker.CfnEndpointConfig.DataCaptureConfigProperty(
            enable_capture=True,
            initial_sampling_percentage=self.sampling_percentage,
            destination_s3_uri=self.bucket.s3_url_for_object(self.prefix),
            capture_options=[
                sagemaker.CfnEndpointConfig.CaptureOptionProperty(capture_mode=mode)
                for mode in modes
            ],
            kms_key_id=None if self.encryption_key is None else self.encryption_key.key_arn,
        )
