"""The landing area: one folder of Parquet per load, visible once its commit marker exists.

Layout
------
``<root>/<dataset>/<load_id>/<table>.parquet`` and ``load.json`` (the commit marker, written last).
``<root>/<dataset>/_schema/<table>.parquet`` has no rows; it guarantees the columns to readers.
``<root>/.staging/loads/<load_id>/`` holds an uncommitted load with all its ``observations``; only the landing gate
reads it. It is a level deeper than committed loads, so that readers' glob patterns never match transient folders.
Next to them, ``rejected_cells`` names the cells with a rejected row.
``<root>/.withdrawn/loads/<load_id>/`` holds a withdrawn load, unchanged, with the reason in ``withdrawn.json``.
``<root>/.locks/<dataset>`` is the lock on the dataset's loads.

Tables of a committed load: ``changes`` (the cells that differ from earlier loads), ``measures`` (units as stated and
as declared), ``codes`` (code lists in the replies), ``coverage`` (requested reporter, products and months),
``findings`` (deviations from the declaration), ``rejects``.

The figures of any release are the newest change of each cell up to that release. A load of a month therefore costs
the size of the month, and a release that only repeats old figures stores nothing.
"""
