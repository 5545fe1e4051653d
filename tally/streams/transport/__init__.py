"""The batched transport: one Faust event carries a run, consecutive records of one partition.

Faust spends some 200 us of Python on each message: tasks, sensors, queues, acknowledgement. This transport
pays that once a run, commits offsets by runs, and gives each partition its own backpressure.
"""
