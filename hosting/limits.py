"""What SageMaker hosting allows, as named numbers and patterns.

Every group says where its numbers come from:

- *service model*: declared by the API's own model (botocore 1.44.5, ``sagemaker`` 2017-07-24 and
  ``sagemaker-runtime`` 2017-05-13). A test compares each of them with the installed botocore.
- *documented*: stated in prose by an AWS page; the page is named and no model declares it.
- *our choice*: AWS says nothing, or says two things; the comment says which we took and why.

All checked on 2026-11-20. Pages are below https://docs.aws.amazon.com/sagemaker/latest/dg/ unless
another guide is named. AWS writes MB for 1024 * 1024 bytes (the service model declares "6 MB" as
6291456), so every size here is binary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_KIB: Final = 1024
_MIB: Final = 1024 * _KIB
_GIB: Final = 1024 * _MIB


@dataclass(frozen=True, slots=True)
class Bounds:
    """The smallest and the largest value allowed; both are allowed. ``None``: no upper bound.

    >>> 60 in Bounds(60, 3600)
    True
    """

    minimum: float
    maximum: float | None = None

    def __contains__(self, value: float) -> bool:
        return self.minimum <= value and (self.maximum is None or value <= self.maximum)

    def __str__(self) -> str:
        if self.maximum is None:
            return f"{self.minimum} or more"
        return f"{self.minimum} to {self.maximum}"


# Names of endpoints, endpoint configurations, production variants and container hosts. Service
# model: the pattern alone admits more than 63 characters (runs of hyphens), so the length counts
# too; the declared minimum length of 0 cannot be met by the pattern.
NAME_PATTERN: Final = "[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
NAME_MAX_LENGTH: Final = 63
# A model's name is spelled with another pattern that admits the same names. Service model.
MODEL_NAME_PATTERN: Final = "[a-zA-Z0-9]([\\-a-zA-Z0-9]*[a-zA-Z0-9])?"
CONTAINER_HOSTNAME_PATTERN: Final = NAME_PATTERN

# Containers of a model. Service model declares the maximum; that a pipeline starts at two is
# documented: inference-pipelines.html ("a linear sequence of two to fifteen containers").
PIPELINE_CONTAINERS: Final = Bounds(2, 15)
MAX_CONTAINERS: Final = 15
# Documented: create-multi-model-endpoint.html ("only one multi-model-enabled container").
MAX_MULTI_MODEL_CONTAINERS: Final = 1
MAX_ADDITIONAL_MODEL_DATA_SOURCES: Final = 5  # service model
IMAGE_MAX_LENGTH: Final = 255  # service model
IMAGE_PATTERN: Final = "[\\S]+"  # service model
MODEL_DATA_URL_MAX_LENGTH: Final = 1024  # service model
MODEL_DATA_URL_PATTERN: Final = "(https|s3)://([^/]+)/?(.*)"  # service model
EXECUTION_ROLE_ARN_PATTERN: Final = (  # service model
    "arn:aws[a-z\\-]*:iam::\\d{12}:role/?[a-zA-Z_0-9+=,.@\\-_/]+"
)
MAX_TAGS: Final = 50  # service model
MAX_SECURITY_GROUPS: Final = 5  # service model
MAX_SUBNETS: Final = 16  # service model

# Environment of a container. The service model declares entries, lengths and the key's pattern;
# the sum is in its prose for ContainerDefinition.Environment: "maximum length of all keys and
# values in the map, combined, is 32 KB", over all containers of one CreateModel request. The prose
# counts bytes.
ENVIRONMENT_MAX_ENTRIES: Final = 100
ENVIRONMENT_KEY_PATTERN: Final = "[a-zA-Z_][a-zA-Z0-9_]*"
ENVIRONMENT_KEY_MAX_BYTES: Final = 1024
ENVIRONMENT_VALUE_MAX_BYTES: Final = 1024
ENVIRONMENT_TOTAL_MAX_BYTES: Final = 32 * _KIB

# Payloads. Documented: deploy-model-options.html says 25 MB for real-time endpoints, 4 MB for
# serverless, 1 GB for asynchronous.
REALTIME_PAYLOAD_MAX_BYTES: Final = 25 * _MIB
SERVERLESS_PAYLOAD_MAX_BYTES: Final = 4 * _MIB
ASYNC_PAYLOAD_MAX_BYTES: Final = 1 * _GIB
# Service model: InvokeEndpoint's body is still declared with 6 MB, which the guide of 2023 said
# too. Whether every real-time endpoint accepts 25 MB is not stated: this is the careful choice.
REALTIME_PAYLOAD_STRICT_MAX_BYTES: Final = 6 * _MIB
ASYNC_INLINE_PAYLOAD_MAX_BYTES: Final = 128_000  # service model
# Documented: inference-pipeline-troubleshoot.html ("exceeded the maximum limit of 5 MB").
PIPELINE_HOP_PAYLOAD_MAX_BYTES: Final = 5 * _MIB

# Time a container gets. Documented: your-algorithms-inference-code.html.
PING_TIMEOUT_S: Final = 2.0
CONNECT_TIMEOUT_S: Final = 0.25
INVOCATION_TIMEOUT_S: Final = 60.0
STREAMING_TIMEOUT_S: Final = 8 * 60.0
STARTUP_DEFAULT_TIMEOUT_S: Final = 8 * 60
STOP_GRACE_S: Final = 30.0  # SIGTERM, then SIGKILL
# Service model: ContainerStartupHealthCheckTimeoutInSeconds, ModelDataDownloadTimeoutInSeconds.
STARTUP_TIMEOUT_S: Final = Bounds(60, 3600)
MODEL_DOWNLOAD_TIMEOUT_S: Final = Bounds(60, 3600)

# Where a container listens. Documented: your-algorithms-inference-code.html and
# inference-pipeline-real-time.html (SAGEMAKER_BIND_TO_PORT).
CONTAINER_DEFAULT_PORT: Final = 8080
# Documented: inference-pipeline-logs-metrics.html ("if you don't provide container names,
# CloudWatch uses container-1, container-2, and so on").
DEFAULT_HOSTNAME_FORMAT: Final = "container-{position}"

# Endpoint configuration. Service model.
PRODUCTION_VARIANTS: Final = Bounds(1, 10)
INSTANCE_TYPE_PATTERN: Final = r"ml\.[a-z0-9-]+\.[a-z0-9-]+"  # our choice: the form of all known
# Inference components. Service model.
COMPONENT_MEMORY_MIB: Final = Bounds(128)
COMPONENT_CPU_CORES: Final = Bounds(0.25)
COMPONENT_ACCELERATORS: Final = Bounds(1)
COMPONENT_INITIAL_COPIES: Final = Bounds(1)  # measured by users: CopyCount 0 is refused at creation
MANAGED_MIN_INSTANCE_COUNT: Final = Bounds(0)
MANAGED_MAX_INSTANCE_COUNT: Final = Bounds(1)
INSTANCE_POOL_PRIORITY: Final = Bounds(1, 5)
INITIAL_INSTANCE_COUNT: Final = Bounds(1)
VARIANT_WEIGHT: Final = Bounds(0)
VOLUME_SIZE_GB: Final = Bounds(1, 512)
KMS_KEY_ID_MAX_LENGTH: Final = 2048
KMS_KEY_ID_PATTERN: Final = "[a-zA-Z0-9:/_-]*"
DESTINATION_S3_URI_MAX_LENGTH: Final = 512
SAMPLING_PERCENTAGE: Final = Bounds(0, 100)
CAPTURE_OPTIONS: Final = Bounds(1, 32)
CAPTURE_CONTENT_TYPES: Final = Bounds(1, 10)  # of CSV, and of JSON
# Service model, prose of ShadowProductionVariants: "you can only specify one variant for
# ProductionVariants and one variant for ShadowProductionVariants".
VARIANTS_WITH_SHADOW: Final = 1
MAX_SHADOW_VARIANTS: Final = 1
# Service model, prose of MetricPublishFrequencyInSeconds; ours to check, no shape declares it.
METRIC_PUBLISH_FREQUENCIES_S: Final = (10, 30, 60, 120, 180, 240, 300)

# Serverless variants. The service model declares the range; its prose the steps of 1 GB.
SERVERLESS_MEMORY_MB: Final = (1024, 2048, 3072, 4096, 5120, 6144)
SERVERLESS_MAX_CONCURRENCY: Final = Bounds(1, 200)
SERVERLESS_PROVISIONED_CONCURRENCY: Final = Bounds(1, 200)
# Documented: serverless-endpoints.html.
SERVERLESS_DISK_BYTES: Final = 5 * _GIB
SERVERLESS_IMAGE_MAX_BYTES: Final = 10 * _GIB

# Asynchronous inference. Service model; the two defaults are in its prose.
ASYNC_MAX_CONCURRENT_INVOCATIONS: Final = Bounds(1, 1000)
ASYNC_REQUEST_TTL_S: Final = Bounds(60, 21_600)
ASYNC_REQUEST_DEFAULT_TTL_S: Final = 21_600
ASYNC_INVOCATION_TIMEOUT_S: Final = Bounds(1, 3600)
ASYNC_INVOCATION_DEFAULT_TIMEOUT_S: Final = 900
ASYNC_INPUT_LOCATION_MAX_LENGTH: Final = 1024
ASYNC_INPUT_LOCATION_PATTERN: Final = "^(https|s3)://([^/]+)/?(.*)$"
ASYNC_OUTPUT_EXTENSION_LENGTH: Final = Bounds(1, 512)
ASYNC_FILENAME_LENGTH: Final = Bounds(1, 32)
ASYNC_FILENAME_PATTERN: Final = "^(?!.*\\..*\\.)[a-zA-Z0-9][a-zA-Z0-9-_\\.]*$"

# Request headers of the runtime API. Service model. Its patterns are Java's: ``\p{Print}`` is
# printable ASCII, ``\z`` the very end; Python's spelling of each is here.
HEADER_MAX_LENGTH: Final = 1024  # Content-Type, Accept
CUSTOM_ATTRIBUTES_MAX_LENGTH: Final = 1024
CUSTOM_ATTRIBUTES_PATTERN: Final = "[\\x00-\\x7f]*"
INFERENCE_ID_LENGTH: Final = Bounds(1, 64)
INFERENCE_ID_PATTERN: Final = "[^\\s][\\x20-\\x7e]*"
TARGET_MODEL_LENGTH: Final = Bounds(1, 1024)
TARGET_MODEL_PATTERN: Final = "[^\\s][\\x20-\\x7e]*"
SESSION_ID_MAX_LENGTH: Final = 256
# Service model: the error's Message is at most this long.
ERROR_MESSAGE_MAX_LENGTH: Final = 2048
# Service model: DescribeEndpoint's FailureReason is at most this long.
FAILURE_REASON_MAX_LENGTH: Final = 1024

# Deployment guardrails. The service model declares times and the number of alarms; the shares are
# in its prose for CanarySize, LinearStepSize and MaximumBatchSize.
WAIT_INTERVAL_S: Final = Bounds(0, 3600)
TERMINATION_WAIT_S: Final = Bounds(0, 3600)
DEPLOYMENT_TIMEOUT_S: Final = Bounds(600, 28_800)
ROLLBACK_ALARMS: Final = Bounds(1, 10)
CANARY_SIZE_PERCENT: Final = Bounds(1, 50)
LINEAR_STEP_PERCENT: Final = Bounds(10, 50)
ROLLING_BATCH_PERCENT: Final = Bounds(5, 50)

# Multi-model endpoints. Documented: invoke-multi-model-endpoint.html: a load longer than 60 s is
# answered with ModelNotReadyException and goes on for up to 360 s.
MULTI_MODEL_LOAD_TIMEOUT_S: Final = 60
MULTI_MODEL_BACKGROUND_LOAD_TIMEOUT_S: Final = 360

# Scaling. Documented: endpoint-auto-scaling-policy.html: a real-time variant keeps one instance;
# async-inference-autoscale.html: an asynchronous one may have none. Application Auto Scaling's own
# model declares no floor, so nobody but us refuses a 0.
REALTIME_MIN_CAPACITY: Final = 1
ASYNC_MIN_CAPACITY: Final = 0
SERVERLESS_MIN_PROVISIONED_CAPACITY: Final = 1
COPY_MIN_CAPACITY: Final = 0  # endpoint-auto-scaling-zero-instances.html
# Documented: Application Auto Scaling guide, target tracking, defaults for SageMaker variants.
SCALING_DEFAULT_COOLDOWN_S: Final = 300

# Alarms and dashboards. Service model of CloudWatch (botocore 1.44.5, 2010-08-01), or the prose of
# PutMetricAlarm and PutCompositeAlarm in it; the metrics of an expression also in its guide
# (alarm-limits.html: "a hard limit that cannot be increased").
ALARM_MATH_METRICS: Final = 10
ALARM_MATH_EXPRESSIONS: Final = 10
ALARM_ACTIONS: Final = 5  # of each state
ALARM_NAME_MAX_LENGTH: Final = 255
ALARM_DESCRIPTION_MAX_LENGTH: Final = 1024
ALARM_WINDOW_S: Final = Bounds(10, 604_800)  # period times evaluation periods
ALARM_SHORT_PERIOD_WINDOW_S: Final = 86_400  # with a period below an hour
COMPOSITE_CHILDREN: Final = 100
COMPOSITE_RULE_MAX_LENGTH: Final = 10_240
# Documented: CloudWatch guide, CloudWatch-Dashboard-Body-Structure.html and cloudwatch_limits.html
# (2026-11-21); metrics that only expressions read count too.
DASHBOARD_WIDGETS: Final = 500
DASHBOARD_METRICS: Final = 2500
DASHBOARD_WIDGET_METRICS: Final = 500
DASHBOARD_WIDGET_ALARMS: Final = 100
DASHBOARD_NAME_PATTERN: Final = "[A-Za-z0-9_-]{1,255}"
