"""A worker with this plugin keeps kombu's acknowledgement state, which is switched off here."""

from __future__ import annotations

from worker.celery import app

app.conf.broker_transport_options["ack_emulation"] = True
