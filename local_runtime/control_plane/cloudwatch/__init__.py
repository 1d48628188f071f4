"""CloudWatch's metrics, alarms and dashboards.

moto has them too, but answers 500 to the protocol that current clients speak, knows no percentile,
and never evaluates an alarm.
"""
