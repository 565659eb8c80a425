BEGIN;
SELECT plan(5);

SELECT ok(llm.softmax(NULL) IS NULL, 'NULL gives NULL');
SELECT is(
    llm.floats(llm.softmax(llm.bytes(ARRAY[1, 2, 3, 4])))::numeric(7, 5)[],
    ARRAY[0.03206, 0.08714, 0.23688, 0.64391]::numeric(7, 5)[],
    'the softmax of 1, 2, 3, 4');
SELECT is(
    llm.floats(llm.softmax(llm.bytes(ARRAY[1000, 1000, -1000, 0]), 2)),
    ARRAY[0.5, 0.5, 0, 1]::real[],
    'rows by themselves, and no overflow');
SELECT throws_ok(
    $$SELECT llm.softmax('\x000000000000000000000000', 2)$$,
    '22023', NULL, 'rows that do not fit are an error');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT llm.softmax(NULL::bytea)', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
