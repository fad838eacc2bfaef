-- Comext statements by HS and CN in the warehouse's own codes; one row a cell, euros or kilograms.
{{ comext_conformed('eurostat_ds_045409') }}
