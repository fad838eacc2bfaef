"""Great Expectations suites as code, and the two gates. Knows no settings, no Airflow."""
