"""Measure which hosting option, memory size and concurrency a model needs, and what it costs."""
