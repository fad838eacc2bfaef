-- Versions of observations; a published part of a concept is a concept of its own.
--
-- Grain: group of cells, concept, period type, member, first vintage.
{{ by_concept('int_export_versions') }}
