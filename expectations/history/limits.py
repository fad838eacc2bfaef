"""The limits of the history checks; docs/adr/0015 shows what they give on real series."""

from __future__ import annotations

# Minimum number of months (or years, for annual figures) of a comparison, and of series behind a median.
KNOWN_MONTHS, REFERENCE_MONTHS, WHOLE_SERIES, FEW_SERIES = 3, 36, 5, 8
# More series than these are sampled: all months of a series, or none.
SAMPLED_CELLS = 600_000
# Multiple (or fraction) of the expected value, and of the usual deviation: beyond both, a group is an outlier.
WHOLE_FACTOR, CHAPTER_FACTOR, PARTNER_FACTOR, UNIT_VALUE_FACTOR = 2.0, 5.0, 8.0, 1.8
ODD_FACTOR, DEVIATIONS = 5.0, 6.0
# Share of a month's value in other cells than usual (one minus the Finger-Kreinin similarity), beyond usual.
STRUCTURE_MOVED, CHAPTER_MOVED, TOTAL_SHARE = 0.15, 0.25, 0.45
# Two partners or measures were exchanged if each is that much nearer to the history of the other, and that far from its
# own.
EXCHANGED_BETTER, EXCHANGED_FACTOR, EXCHANGED_CELLS = 2.0, 1.25, 8
# A regular series with this share of a measure is missed when it disappears.
MISSED_SHARE, MISSED_PARTNERS, SMALL_SHARE = 0.005, 0.05, 0.001
# Share of the cells that equal another month's to the last digit.
EQUAL_SHARE, EQUAL_CELLS = 0.5, 20
# A cell changed if it is restated by more than this factor; maximum share of the value of a measure, a month, a
# chapter, a partner.
MOVED_FACTOR, MOVED_WHOLE, MOVED_MONTH, MOVED_CHAPTER, MOVED_PARTNER = 1.5, 0.15, 0.25, 0.35, 0.5
