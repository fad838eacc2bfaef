-- The offices' own totals; a published part of a concept is a concept of its own.
--
-- Grain: source, concept, reporter, nomenclature, product, period.
{{ by_concept('int_export_totals') }}
