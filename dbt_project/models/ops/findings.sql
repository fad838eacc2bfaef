with findings as (
    select * from {{ ref('stg_landing__findings') }}
)

select
    load_id,
    cast(row_number() over (partition by load_id order by rule, subject, detail, mode) as integer) as finding_no,
    rule,
    subject,
    detail,
    mode
from findings
