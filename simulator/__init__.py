"""Both statistical offices on localhost: CBS OData v4 and Eurostat Comext, fed by a seeded economy."""
