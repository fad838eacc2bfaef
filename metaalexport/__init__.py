"""The spine: settings, the pipeline's steps, the dbt runner and the command line."""
