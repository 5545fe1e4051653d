"""The batched transport: one Faust event carries a run, consecutive records of one partition.

Faust pays some 200 us of Python for each message: tasks, sensors, queues, acknowledgement. Here that is
paid once a run, offsets are committed by runs, and each partition has its own backpressure.
"""
