"""Tests of what operators run; `make ops` installs what they need."""
