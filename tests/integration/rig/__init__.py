"""What the integration tests stand on: real servers, workers and gateways as child processes.

Nothing here sleeps: a test waits for a line of a log, for a process to end, for a pipe or for an
answer, each with a deadline that only a broken program reaches.
"""
