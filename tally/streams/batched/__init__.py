"""The batched transport: one Faust event for all records of one partition that one fetch returned.

Faust pays some 200 us of Python for each message: tasks, sensors, queues, acknowledgement. Here that is
paid once a run.
"""
