BEGIN;
SELECT plan(4);

SELECT row_eq(
    'SELECT * FROM llm.queries_keys_values(NULL, 0, ARRAY[0])',
    ROW(NULL::bytea, NULL::bytea, NULL::bytea),
    'NULL gives NULL');
SELECT throws_ok(
    $$SELECT llm.queries_keys_values('\x00000000', 0, ARRAY[0], 'no such model')$$,
    '42704', NULL, 'a model that is not there is an error');
SELECT function_returns(
    'llm', 'queries_keys_values', ARRAY['bytea', 'integer', 'integer[]', 'text'],
    'record', 'one row gives all three');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok(
    'SELECT llm.queries_keys_values(NULL, NULL, NULL)',
    '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
