"""Gunicorn settings of Superset: two processes that share the code, with eight threads each."""

bind = "0.0.0.0:8088"
wsgi_app = "superset.app:create_app()"
workers = 2
worker_class = "gthread"
threads = 8
# Longer than the statement timeout of the marts' reader.
timeout = 90
accesslog = "-"
