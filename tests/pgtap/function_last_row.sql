BEGIN;
SELECT plan(5);

SELECT ok(llm.last_row(NULL, 1) IS NULL, 'NULL gives NULL');
SELECT is(
    llm.floats(llm.last_row(llm.bytes(ARRAY[1, 2, 3, 4]), 2)),
    ARRAY[3, 4]::real[],
    'the last two of four numbers');
SELECT throws_ok(
    $$SELECT llm.last_row('\x000000000000000000000000', 2)$$,
    '22023', NULL, 'rows that do not fit are an error');
SELECT throws_ok(
    $$SELECT llm.last_row('\x00000000', 0)$$,
    '22023', NULL, 'a row has a width');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT llm.last_row(NULL::bytea, NULL::integer)', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
