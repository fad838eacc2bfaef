-- Comext statements by SITC in the warehouse's own codes; one row a cell, euros or kilograms.
{{ comext_conformed('eurostat_ds_059331') }}
