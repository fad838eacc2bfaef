"""History checks of the landing gate: whether a load continues its own past.

A response can be well formed, complete and internally consistent, and still be wrong as a whole: in another unit, a
month late, with partners exchanged. The dataset's own past reveals it. New months are compared with the months before,
restated months with their earlier figures. Comparisons are ratios, on logarithms; the usual value is a median, and the
bounds follow from the median deviation of the same group in its own past.

From the cells up:

- **series**: a cell over time (partner, product, flow, ...) in one measure; for bulk files, a chapter of products.
- **group**: the series of a measure; of a chapter, a partner or a reporter in it.
- **typical value**: median of a series over the known months. The expected value of a month is the sum of the typical
  values of the series present: partners not published yet are excluded.

An error of a whole measure, chapter or reporter blocks the load; so does one of a partner by a factor unknown in trade.
Merely odd figures warn (``warn``): real months are lumpy. On a first load there is nothing but the load itself, and all
of these warn. Bounds and false alarms on real series: docs/adr/0015.
"""
