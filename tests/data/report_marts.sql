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
    ('manufactures_sitc6', 'Manufactured goods by material', 'Fabricaten naar grondstof', 'Section 6.', 'Afdeling 6.', false,
     'shipped', 1),
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
    has_year_before and destination_code = 'FI' as is_small_base,
    -- Only these three moved enough to be seen; of Belgium it is not known whether that is more than a revision.
    case
        when has_year_before and known_share is not null
            then case destination_code when 'DE' then -1.25 when 'US' then 0.90 when 'BE' then 0.40 else 0.0001 / position end
    end::double as share_change_pp,
    share_change_pp as share_r12_change_pp,
    case destination_code when 'DE' then 0.02 when 'US' then 1.1 when 'BE' then null else 0.0004 end::double
        as share_r12_change_noise_pp,
    case when has_year_before and known_share is not null then
        case destination_code when 'DE' then true when 'US' then false when 'BE' then null else false end
    end as is_r12_change_beyond_noise,
    null::double as contribution_to_growth_pp,
    case when is_complete then (known_share * 2500000000 * 1.01)::double end as value_sa_eur,
    case when is_complete and destination_code <> 'FI' then known_share * 1.01 end::double as share_sa,
    null::double as value_to_expected_ratio, null::double as unit_value_to_expected_ratio,
    case when is_complete then false end as is_unusual,
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

create table ops.slices as
select * from (values
    ('cbs_85429ned', 'NL', 'loaded', 'load-1', timestamp '2026-03-17 05:30:00', null),
    ('eurostat_ds_045409', 'NL', 'behind', 'load-3', timestamp '2026-03-20 10:00:00', 'key_is_unique: no two rows <b>alike</b>'),
    ('eurostat_sts_inpr_m', 'DE', 'missing', null, null, 'The office refused the request')
) as t (dataset_code, reporter_code, state, load_id, vintage_at, problem);

create table ops.findings as
select * from (values ('load-3', 'new_code', 'partner', '1: QZ', 'warn')) as t (load_id, rule, subject, detail, mode);

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

create table marts.rpt_share_change as
select
    source_code, concept_code, scope_code, reporter_code, destination_code, destination_name_en, destination_name_nl, month,
    value_eur, value_year_before_eur, yoy_growth_pct, 4.2::double as total_growth_pct,
    share - share_change_pp / 100 as share_year_before, share, share_change_pp,
    share_change_pp - 0.1 as own_growth_pp, 0.1::double as rest_growth_pp,
    -- Of Belgium there are no weights, so price and volume cannot be told apart.
    case when destination_code <> 'BE' then 0.3 end::double as price_pp,
    case when destination_code <> 'BE' then share_change_pp - 0.5 end::double as volume_pp,
    case when destination_code <> 'BE' then 0.1 end::double as mix_pp,
    case when destination_code <> 'BE' then 0 end::double as unmatched_pp,
    case when destination_code <> 'BE' then 0.97 else 0 end::double as matched_share, vintage_at
from marts.rpt_destination_shares
where scope_code = 'metal_core_hs' and month = '2026-01-01' and destination_code in ('DE', 'US', 'BE');

create table marts.dim_tariff_event as
select * from (values
    ('us_signed', 'US', 'S232', 'announced', date '2025-02-10', null, null::date, null::double, 'steel', 'Signed & sealed',
     'Getekend & verzegeld', 'confirmed', 'test'),
    ('us_steel', 'US', 'S232', 'effective', date '2025-03-12', 'us_signed', null, 25, 'steel', '25 % on steel',
     '25 % op staal', 'confirmed', 'test'),
    ('us_copper', 'US', 'S232', 'effective', date '2025-03-20', null, date '2025-08-31', 50, 'copper', '50 % on copper',
     '50 % op koper', 'unverified', 'test'),
    ('eu_safeguard', 'EU', 'safeguard', 'effective', date '2025-03-01', null, null, 25, 'steel', 'Safeguard', 'Vrijwaring',
     'confirmed', 'test')
) as t (event_code, imposed_by_code, instrument, event_kind, event_date, announced_by_event_code, effective_to, rate_pct,
        product_scope_en, title_en, title_nl, confidence, event_source);

create table marts.dim_policy_list as
select * from (values ('tariffs', date '2025-11-30'), ('agreements', date '2026-01-31')) as t (list_code, known_until);

create table marts.rpt_tariff_exposure as
select
    event_code, 'EUROSTAT' as source_code, 'community' as concept_code, 'NL' as reporter_code, 'US' as destination_code,
    'United States' as destination_name_en, 'Verenigde Staten' as destination_name_nl, month::date as month,
    case
        when effective_to < month then 'expired' when event_date < month + interval 1 month then 'effective' else 'before'
    end as status,
    null::date as announced_on, event_date as effective_from, effective_to, 31 as days_in_force, rate_pct,
    case when event_code = 'us_steel' then 150000000 + 1000000 * month(month) else 20000000 end::decimal(38, 2) as value_eur,
    (0.25 * 150000000)::decimal(38, 2) as duty_at_rate_eur, (0.25 * 100000000)::decimal(38, 2) as duty_lower_eur,
    (0.25 * 150000000)::decimal(38, 2) as duty_upper_eur, true as is_confirmed, month < '2025-12-01' as is_policy_known, timestamp '2026-03-20 10:00:00' as vintage_at
from marts.dim_tariff_event, generate_series(timestamp '2024-01-01', timestamp '2026-01-01', interval 1 month) as t (month)
where event_kind = 'effective' and imposed_by_code = 'US';

create table marts.rpt_frontloading as
select
    'us_steel' as event_code, 'EUROSTAT' as source_code, 'community' as concept_code, scope_code, 'NL' as reporter_code,
    destination_code, 'United States' as destination_name_en, 'Verenigde Staten' as destination_name_nl,
    destination_code = 'US' as is_event_market, baseline_method, 'all_other_countries' as control_group,
    date '2024-11-01' as news_month, date '2025-03-01' as effective_month, 3 as payback_months,
    600000000::double as baseline_eur, excess_eur::double as excess_eur, (excess_eur - 40000000)::double as excess_lower_eur,
    (excess_eur + 40000000)::double as excess_upper_eur, (excess_eur / 6000000)::double as excess_pct,
    6.7::double as smallest_detectable_pct, 70000000::double as payback_3_eur, 30000000::double as payback_3_lower_eur,
    110000000::double as payback_3_upper_eur, verdict, verdict_reason, timestamp '2026-03-20 10:00:00' as vintage_at
from (values
    ('metal_core_hs', 'US', 'control_group', 90000000, 'front_loaded_and_paid_back', null),
    ('metal_core_hs', 'US', 'seasonal_trend', 100000000, 'front_loaded_and_paid_back', null),
    ('metal_core_hs', 'DE', 'control_group', 0, 'none_found', null),
    ('metal_core_hs', 'DE', 'seasonal_trend', 0, 'none_found', null),
    ('mine', 'US', 'control_group', -5000000, 'not_detectable', 'too_noisy'),
    ('mine', 'US', 'seasonal_trend', -5000000, 'not_detectable', 'too_noisy')
) as t (scope_code, destination_code, baseline_method, excess_eur, verdict, verdict_reason);

create table marts.rpt_frontloading_months as
select
    event_code, source_code, concept_code, scope_code, reporter_code, destination_code, destination_name_en,
    destination_name_nl, is_event_market, baseline_method, month::date as month,
    case when month < news_month then 'before_news' when month < effective_month then 'front_loading' else 'payback' end
        as phase,
    true as is_comparable, (150000000 + 5000000 * month(month))::decimal(38, 2) as value_eur,
    150000000::double as baseline_eur, case when month >= news_month then 140000000 end::double as baseline_lower_eur,
    case when month >= news_month then 160000000 end::double as baseline_upper_eur,
    5000000 * month(month)::double as excess_eur, 1.0::double as z,
    case when month >= news_month then 20000000 end::double as cumulated_excess_eur, vintage_at
from marts.rpt_frontloading, generate_series(timestamp '2023-01-01', timestamp '2026-01-01', interval 1 month) as t (month)
where destination_code = 'US' and scope_code = 'metal_core_hs';

create table marts.dim_trade_agreement as
select * from (values
    ('tr_union', 'Customs union with Türkiye', 'Douane-unie met Turkije', 'customs_union', 'TR', 'in_force', date '1996-01-01')
) as t (agreement_code, agreement_name_en, agreement_name_nl, agreement_kind, country_code, status, valid_from);

create table marts.rpt_market_opportunities as
select
    'EUROSTAT' as source_code, 'community' as concept_code, 'metal_core_hs' as scope_code, 'NL' as reporter_code,
    code as destination_code, name_en as destination_name_en, name_nl as destination_name_nl, date '2026-01-01' as month,
    code not in ('TR', 'CN', 'US', 'NO', 'GB') as is_eu_member, 100000000::decimal(38, 2) as value_r12_eur,
    (2000000000 / position)::decimal(38, 2) as eu_value_r12_eur, (20 - 2 * position)::double as eu_growth_pct,
    0.08::double as share_in_eu_exports, 0.12::double as usual_share_in_eu_exports, 50000000::decimal(38, 2) as gap_eur,
    case code when 'TR' then 'preferential' when 'US' then 'surcharge' else 'none' end as access_status,
    case code when 'TR' then 'tr_union' end as agreement_code,
    case code when 'TR' then 'Customs union with Türkiye' end as agreement_name_en,
    case code when 'US' then 'us_steel' end as measure_event_code, case code when 'US' then 25 end::double as measure_rate_pct,
    0.9::double as size_score, 0.8::double as growth_score, 0.7::double as gap_score,
    case code when 'TR' then 1 else 0 end::double as access_score,
    case code when 'TR' then 0.85 when 'NO' then null else 0.6 end::double as opportunity_score, true as is_policy_known,
    timestamp '2026-03-20 10:00:00' as vintage_at
from sizes;

create table marts.rpt_export_origins as
select
    'CBS' as source_code, 'border_crossing_incl_transit' as concept_code, 'manufactures_sitc6' as scope_code,
    'NL' as reporter_code, code as destination_code, name_en as destination_name_en, name_nl as destination_name_nl,
    date '2026-01-01' as month, true as is_complete, (100000000 / position)::decimal(38, 2) as domestic_product_eur,
    (300000000 / position)::decimal(38, 2) as re_export_eur, 5000000::decimal(38, 2) as quasi_transit_eur,
    0.25::double as domestic_product_share, (1200000000 / position)::decimal(38, 2) as domestic_product_r12_eur,
    (3600000000 / position)::decimal(38, 2) as re_export_r12_eur, 60000000::decimal(38, 2) as quasi_transit_r12_eur,
    0.25::double as domestic_product_share_r12, -0.4::double as domestic_product_share_r12_change_pp,
    4.5::double as domestic_product_r12_growth_pct, 24.6::double as re_export_r12_growth_pct,
    timestamp '2026-03-20 10:00:00' as vintage_at
from (
    select code, name_en, name_nl, position from sizes union all select 'total', 'All destinations', 'Alle bestemmingen', 0.5
) as places;

create table marts.rpt_eu_peer_position as
select
    'EUROSTAT' as source_code, 'community' as concept_code, 'metal_core_hs' as scope_code, reporter_code,
    code as destination_code, name_en as destination_name_en, name_nl as destination_name_nl, date '2026-01-01' as month,
    (6000000000 / position)::decimal(38, 2) as value_r12_eur, 0.3 / position as share_in_eu_exports,
    case reporter_code when 'NL' then 0.15 else 0.23 end::double as share_in_eu_exports_all_markets,
    0.28 / position as share_in_eu_exports_year_before, case reporter_code when 'NL' then 1.2 else 0.9 end::double as rca_eu,
    1.1::double as rca_eu_in_market, 30000000::decimal(38, 2) as change_eur, 10000000::decimal(38, 2) as growth_effect_eur,
    5000000::decimal(38, 2) as product_effect_eur, 5000000::decimal(38, 2) as market_effect_eur,
    case code when 'BE' then 40000000 when 'FR' then -25000000 else 1000000 end::decimal(38, 2) as competitiveness_effect_eur,
    timestamp '2026-03-20 10:00:00' as vintage_at
from sizes, (values ('NL'), ('DE')) as r (reporter_code)
where code <> reporter_code;

create table marts.rpt_diversification_stress as
select
    'EUROSTAT' as source_code, 'community' as concept_code, 'metal_core_hs' as scope_code, 'NL' as reporter_code,
    date '2026-01-01' as month, code as destination_code, name_en as destination_name_en, name_nl as destination_name_nl,
    position as market_rank, shock_pct::double as shock_pct, 0.2 / position as market_share,
    (shock_pct::bigint * 60000000 / position)::decimal(38, 2) as loss_eur, shock_pct * 0.2 / position as loss_pct,
    0.08::double as hhi_before, 0.079::double as hhi_after, 2.5::double as volatility_before_pct,
    2.6::double as volatility_after_pct, timestamp '2026-03-20 10:00:00' as vintage_at
from sizes, (values (25), (100)) as s (shock_pct)
where position <= 10;

create table marts.dim_product as
select * from (values
    ('SITC', '6', 1, 'Manufactured goods', 'Fabricaten'), ('SITC', '7', 1, null, null)
) as t (nomenclature_code, product_code, product_level, product_title_en, product_title_nl);

create table marts.rpt_source_reconciliation as
select
    'NL' as reporter_code, 'total' as destination_code, 'All destinations' as destination_name_en,
    'Alle bestemmingen' as destination_name_nl, section_code, month::date as month,
    (size * 72000000000)::decimal(38, 2) as eurostat_eur, (size * 71500000000)::decimal(38, 2) as cbs_incl_transit_eur,
    (size * 53000000000)::decimal(38, 2) as cbs_excl_transit_eur, (size * 18500000000)::decimal(38, 2) as quasi_transit_eur,
    (size * 500000000)::decimal(38, 2) as residual_eur, 1.358::double as eurostat_to_cbs_ratio,
    case section_code when '6' then 12000000 else 0 end::decimal(38, 2) as unexplained_eur,
    timestamp '2026-03-17 05:30:00' as cbs_vintage_at, timestamp '2026-03-20 10:00:00' as eurostat_vintage_at
from (values ('6', 0.1), ('7', 0.3), ('TOTAL', 1)) as s (section_code, size),
    generate_series(timestamp '2024-01-01', timestamp '2026-01-01', interval 1 month) as t (month);

create table marts.rpt_revisions as
select
    'EUROSTAT' as source_code, 'community' as concept_code, 'metal_core_hs' as scope_code, 'NL' as reporter_code,
    date '2025-12-01' - to_months(age) as month, timestamp '2026-03-20 10:00:00' as vintage_at, age + 3 as age_months,
    4 as n_revisions_of_age, 0.4 - 0.05 * age as mean_revision_pct_of_age, 0.5 - 0.05 * age as mean_abs_revision_pct_of_age
from range(5) as t (age);
