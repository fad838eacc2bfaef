"""How Superset is served: two processes that share the code, eight requests at a time in each."""

bind = "0.0.0.0:8088"
wsgi_app = "superset.app:create_app()"
workers = 2
worker_class = "gthread"
threads = 8
# Longer than the longest statement of the marts' reader.
timeout = 90
accesslog = "-"
