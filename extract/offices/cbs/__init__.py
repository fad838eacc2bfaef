"""CBS (Statistics Netherlands): OData v4 and bulk files on datasets.cbs.nl, OData v3 where v4 has no data.

Quirks handled here: identifiers are case-sensitive; keys and titles can carry blanks; a page holds up to 100,000
cells and names the next one in ``@odata.nextLink``; a table can change while it is read (its ``Version`` is compared
before and after); suppressed cells are absent rows in v4 and null in v3; bulk files have a decimal comma and may be
split over several members; some discontinued tables have metadata on v4 and observations on v3 only; the columns of
v3 are named by title and position, and only their ``ID`` leads to the measure (it is the ``Index`` of v4); a measure
can get another code or place in a new edition of a table, and is then found by its title, group and unit.
"""
