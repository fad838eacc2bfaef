-- Exports by destination; a published part of a concept is a concept of its own.
--
-- Grain: source, concept, reporter, destination, nomenclature, product, month.
{{ by_concept('int_exports_by_destination') }}
