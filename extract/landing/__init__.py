"""The landing area: one folder of Parquet a load, visible once its commit marker is there.

Layout
------
``<root>/<dataset>/<load_id>/<table>.parquet`` and ``load.json`` (the commit marker, written last).
``<root>/<dataset>/_schema/<table>.parquet`` has no rows, so that readers can rely on the columns.
``<root>/.staging/loads/<load_id>/`` holds a load that is not committed, with all its ``observations``; nobody but gate
1 reads it. It lies a level deeper than committed loads: no pattern of a reader meets a folder that comes and goes.
``rejected_cells`` beside them names the cells of which it holds a row that was rejected.
``<root>/.withdrawn/loads/<load_id>/`` holds a load that a person took back, as it was, with the reason in
``withdrawn.json``.
``<root>/.locks/<dataset>`` is held by whoever works on the dataset's loads.

Tables of a committed load: ``changes`` (the cells that differ from what the loads before it had said), ``measures``
(units as stated and as declared), ``codes`` (code lists that came along), ``coverage`` (reporter, product, months
asked for), ``findings`` (where the reply was not as declared), ``rejects``.

What an office said at any of its releases is the newest change of each cell up to then. A load of a month therefore
costs what the month holds, and a release that only repeats old figures stores nothing.
"""
