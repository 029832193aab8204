"""The benchmark: this service beside others that could do its work, in turn in one run."""
