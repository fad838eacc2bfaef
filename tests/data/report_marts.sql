-- A small published warehouse for the tests of the report: made up by us, the columns of the real one.
create schema marts;
create schema ops;

create table marts.dim_concept as
select * from (values
    ('community', 'EUROSTAT', 'Community concept', 'Communautair concept', 'As Eurostat compiles it.',
     'Zoals Eurostat het samenstelt.', true, 'test'),
    ('border_crossing_excl_transit', 'CBS', 'Border crossing excluding quasi-transit',
     'Grensoverschrijding exclusief quasi-doorvoer', 'Without quasi-transit.', 'Zonder quasi-doorvoer.', false, 'test')
) as t (concept_code, source_code, concept_name_en, concept_name_nl, definition_en, definition_nl,
        includes_quasi_transit, definition_source);

create table marts.dim_metal_scope as
select * from (values
    ('all_goods', 'All goods', 'Alle goederen', 'Everything.', 'Alles.', false, 'shipped', 1),
    ('metal_core_hs', 'Base metals and articles', 'Onedele metalen en werken daarvan', 'Section XV.', 'Afdeling XV.',
     true, 'shipped', 11),
    ('mine', '<script>alert("en")</script>', '</script><script>alert("nl")</script>', 'My <b>own</b>.', 'Mijn <b>eigen</b>.',
     null, 'user', 2)
) as t (scope_code, scope_name_en, scope_name_nl, description_en, description_nl, is_metal, origin, n_members);

-- The position is the size of the country in the made up trade: a share of 0.2, 0.1, 0.0667, ...
create temporary table sizes as
select unnest(['DE', 'BE', 'FR', 'IT', 'PL', 'GB', 'ES', 'SE', 'CZ', 'US', 'CN', 'TR', 'AT', 'DK', 'FI', 'NO', 'IE', 'PT'])
        as code,
    unnest(range(1, 19)) as position,
    unnest(['Germany', 'Belgium', 'France', 'Italy', 'Poland', 'United Kingdom', 'Spain', 'Sweden', 'Czechia',
            'United States', 'China', 'Türkiye', 'Austria', 'Denmark', 'Finland', 'Norway', 'Ireland', 'Portugal']) as name_en,
    unnest(['Duitsland', 'België', 'Frankrijk', 'Italië', 'Polen', 'Verenigd Koninkrijk', 'Spanje', 'Zweden', 'Tsjechië',
            'Verenigde Staten', 'China', 'Turkije', 'Oostenrijk', 'Denemarken', 'Finland', 'Noorwegen', 'Ierland',
            'Portugal']) as name_nl;

create table marts.dim_country as
select code as country_code, name_en as country_name_en, name_nl as country_name_nl, 'country' as destination_kind from sizes
union all
select * from (values
    ('NL', 'Netherlands', 'Nederland', 'country'),
    ('unallocated', 'Unallocated', 'Niet toegewezen', 'unallocated'),
    ('not_loaded', 'Not loaded (rest of the office''s total)', 'Niet geladen (rest van het totaal van het bureau)', 'not_loaded')
) as t;

create table marts.rpt_destination_shares as
with views as (
    select * from (values
        ('EUROSTAT', 'community', 'metal_core_hs', 18, 'unallocated', date '2024-01-01', date '2026-02-01', date '2026-01-01'),
        ('EUROSTAT', 'community', 'mine', 3, 'not_loaded', date '2025-08-01', date '2026-01-01', date '2026-01-01'),
        ('CBS', 'border_crossing_excl_transit', 'all_goods', 0, 'not_loaded', date '2024-11-01', date '2026-01-01',
         date '2026-01-01')
    ) as t (source_code, concept_code, scope_code, n_countries, rest, first_month, last_month, newest_complete_month)
),

cells as (
    select views.*, sizes.code as destination_code, sizes.position, 0.2 / sizes.position as share
    from views inner join sizes on sizes.position <= views.n_countries
    union all
    select views.*, rest, null, 1 - coalesce((select sum(0.2 / position) from sizes where position <= n_countries), 0)
    from views
),

months as (
    select cells.*, unnest(generate_series(first_month, last_month, interval 1 month))::date as month from cells
),

figures as (
    select
        *,
        month <= newest_complete_month as is_complete,
        -- Portugal is missing, which is not zero.
        case when destination_code = 'PT' then null else share end as known_share,
        month >= first_month + interval 11 month and month <= newest_complete_month as has_r12,
        month >= first_month + interval 12 month and month <= newest_complete_month as has_year_before
    from months
)

select
    source_code, concept_code, scope_code, 'NL' as reporter_code, destination_code,
    countries.country_name_en as destination_name_en, countries.country_name_nl as destination_name_nl,
    countries.destination_kind, month, is_complete,
    case when not is_complete then 'office_total_missing' end as incomplete_reason,
    (known_share * 2500000000)::decimal(38, 2) as value_eur,
    case when is_complete then 2500000000::decimal(38, 2) end as total_eur,
    case when is_complete then known_share::double end as share,
    case when is_complete and destination_kind = 'country' then coalesce(known_share, 0)::double end as share_lower,
    case when is_complete and destination_kind = 'country' then coalesce(known_share, 0)::double + 0.05 end as share_upper,
    case when has_r12 then known_share::double end as share_r12,
    case when is_complete then known_share::double end as share_ytd,
    case when has_r12 then (known_share * 30000000000)::decimal(38, 2) end as value_r12_eur,
    case when is_complete and known_share is not null then position::integer end as destination_rank,
    case when has_r12 and known_share is not null then position::integer end as destination_rank_r12,
    case when has_year_before then case destination_code when 'FI' then 900000 else 2400000000 * known_share end end
        ::decimal(38, 2) as value_year_before_eur,
    case when has_year_before and known_share is not null then 4.1667 end::double as yoy_growth_pct,
    case when has_year_before and known_share is not null then -1.25 end::double as share_change_pp,
    null::double as contribution_to_growth_pp,
    timestamp '2026-03-20 10:00:00' as vintage_at
from figures inner join marts.dim_country as countries on figures.destination_code = countries.country_code;

create table marts.rpt_market_concentration as
select
    'EUROSTAT' as source_code, 'community' as concept_code, 'metal_core_hs' as scope_code, 'NL' as reporter_code,
    month::date as month, basis, 17 as n_active_markets, 240 as n_markets, 0.699::double as coverage_share,
    0.115::double as hhi, 0.06::double as hhi_normalised, (8 + month(month) / 10)::double as equivalent_markets,
    1.0::double as theil, 0.4::double as theil_within, 0.6::double as theil_between, 0.2::double as top_1_share,
    0.36::double as top_3_share, 0.456::double as top_5_share, 0.58::double as top_10_share,
    timestamp '2026-03-20 10:00:00' as vintage_at
from generate_series(timestamp '2024-12-01', timestamp '2026-01-01', interval 1 month) as t (month),
    (values ('month'), ('r12')) as b (basis);

create table marts.dim_dataset as
select * from (values
    ('cbs_85429ned', 'CBS', '85429NED', 'International trade in goods', 'Internationale goederenhandel', 'CC BY 4.0',
     'https://creativecommons.org/licenses/by/4.0/', 'Bron: CBS, StatLine, tabel 85429NED', 'javascript:alert(1)',
     'about two months after the month', true, 1, timestamp '2026-03-17 05:30:00', false),
    ('eurostat_ds_045409', 'EUROSTAT', 'DS-045409', 'EU trade since 1988', 'EU-handel sinds 1988', 'CC BY 4.0',
     'https://creativecommons.org/licenses/by/4.0/', 'Source: Eurostat, Comext, dataset DS-045409',
     'https://ec.europa.eu/eurostat/databrowser/product/view/ds-045409', 'about 46 days after the month', true, 2,
     timestamp '2026-03-20 10:00:00', false)
) as t (dataset_code, source_code, office_identifier, title_en, title_nl, licence, licence_url, citation, source_url,
        release_note, is_verified, n_loads, last_vintage_at, is_simulated);

create table ops.loads as
select * from (values
    ('load-1', 'cbs_85429ned', 'NL', 'v1', timestamp '2026-03-17 05:30:00', timestamp '2026-03-21 07:00:00', 'replay', false,
     1234567, 1234560, 7, 3),
    ('load-2', 'eurostat_ds_045409', 'NL', 'v1', timestamp '2026-02-20 10:00:00', timestamp '2026-03-21 07:00:00', 'replay',
     false, 1000, 1000, 0, 1),
    ('load-3', 'eurostat_ds_045409', 'NL', 'v2', timestamp '2026-03-20 10:00:00', timestamp '2026-03-21 07:00:00', 'replay',
     false, 1100, 1100, 0, 1)
) as t (load_id, dataset_code, reporter_code, office_version, vintage_at, retrieved_at, transport, is_simulated, rows_read,
        rows_loaded, rows_rejected, n_requests);

create table ops.freshness as
select * from (values
    ('eurostat_ds_045409', timestamp '2026-03-21 07:00:00', timestamp '2026-03-20 10:00:00', date '2026-01-01', 'note')
) as t (dataset_code, last_looked_at, last_vintage_at, newest_complete_month, release_note);

create table ops.checks as
select * from (values
    ('run-0', 'landing', 'cbs_85429ned__nl__v1', 'unique_keys', 'error', true, '0', 'ok', timestamp '2026-03-19 12:00:00'),
    ('run-1', 'landing', 'eurostat_ds_045409__nl__v2', 'old_failure', 'error', false, '3', 'seen in an older run', timestamp '2026-03-20 12:00:00'),
    ('run-2', 'landing', 'eurostat_ds_045409__nl__v2', 'unique_keys', 'error', true, '0', 'ok', timestamp '2026-03-21 12:00:00'),
    ('run-2', 'landing', 'eurostat_ds_045409__nl__v2', 'total_known', 'error', true, '0', 'ok', timestamp '2026-03-21 12:00:00'),
    ('run-2', 'landing', 'eurostat_ds_045409__nl__v2', 'few_rows', 'warn', false, '97%', 'fewer rows & <less> than before',
     timestamp '2026-03-21 12:00:00')
) as t (run_id, gate, subject, check_name, severity, is_passed, observed, message, checked_at);
