BEGIN;
SELECT plan(8);

CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE DOMAIN score AS smallint CHECK (value > 3);
CREATE TABLE diary (
    day date NOT NULL, felt mood[], "Points" score, note varchar(9) NOT NULL, twice int GENERATED ALWAYS AS (2) STORED
);

SELECT is(llm_runtime.row_schema('mood'::regtype), '{"enum": ["sad", "glad"]}', 'labels in their order');
SELECT is(
    llm_runtime.row_schema('mood[]'::regtype), '{"type": "array", "maxItems": 16, "items": {"enum": ["sad", "glad"]}}',
    'an array');
SELECT is(llm_runtime.row_schema('score'::regtype), llm_runtime.row_schema('smallint'::regtype), 'a domain''s base');
SELECT is(
    llm_runtime.row_schema('diary'::regtype) -> 'required', '["day", "felt", "Points", "note"]',
    'columns in their order, without generated ones');
SELECT is(
    llm_runtime.row_schema('diary'::regtype) -> 'properties' -> 'note', '{"type": "string", "maxLength": 9}',
    'a column that is NOT NULL');
SELECT is(
    llm_runtime.row_schema('diary'::regtype) #> '{properties,felt,anyOf,1}', '{"type": "null"}',
    'one that may be NULL');
SELECT is(
    llm_runtime.row_schema('numeric'::regtype, ((6 << 16) | 2) + 4) - 'type',
    '{"minimum": -9999.99, "maximum": 9999.99, "multipleOf": 0.01}', 'precision and scale');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT llm_runtime.row_schema(16)', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
