"""The crypto worker: authentication, key versions, pools and operations. Only workers import this.

`celery -A worker worker` finds the app in `worker.celery`.
"""
