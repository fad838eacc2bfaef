"""The APIs of both statistical offices on localhost, fed by one seeded economy.

CBS: OData v4, the bulk zip, OData v3, the catalogues and the release calendar. Eurostat: SDMX 2.1 of both hosts,
JSON-stat, asynchronous jobs, the listing of dataflows, the table of contents, and the bulk archives of Comext. Offices
publish releases that revise earlier ones, and faults can be switched on for any request. All figures are invented, and
every reply says so (``X-Simulated``).
"""
