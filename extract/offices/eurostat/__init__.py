"""Eurostat: SDMX 2.1 on two hosts, and the monthly bulk files and code lists of Comext.

Quirks handled here: ``DS-*`` codes are on the Comext host only, all others on the main host only; a reply's format is
detected from its first byte, whatever the request and the content type (a SOAP fault or an asynchronous envelope is
XML, maintenance is HTML); the cost of a request is the product of matched positions, so a slice is split until each
request is answered synchronously; one code that the dataset does not have fails the whole request, so codes are
intersected with its constraint first; all chunks of a load must carry one ``LAST UPDATE``, which is Brussels time with
a two-digit year.
"""
