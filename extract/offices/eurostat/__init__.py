"""Eurostat: SDMX 2.1 on two hosts, and the monthly bulk files and lists of codes of Comext.

Quirks handled here: ``DS-*`` codes live on the Comext host only, all others on the main host only; a reply's format is
told from its first byte, whatever was asked for and whatever the content type says (a SOAP fault or an asynchronous
envelope comes as XML, maintenance as HTML); the cost of a request is the product of matched positions, so a slice is
split until each request is answered at once; one code that the dataset does not have fails the whole request, so
codes are intersected with its constraint first; all chunks of a load must carry one ``LAST UPDATE``, which is
Brussels time with a two-digit year.
"""
