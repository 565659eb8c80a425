BEGIN;
SELECT plan(5);

SELECT ok(llm.swiglu(NULL, '\x00000000') IS NULL, 'NULL gives NULL');
SELECT is(
    llm.floats(llm.swiglu(llm.bytes(ARRAY[0, 1, -1, 100, -100]), llm.bytes(ARRAY[5, 2, 2, 3, 3])))::numeric(9, 5)[],
    ARRAY[0, 1.46212, -0.53788, 300, 0]::numeric(9, 5)[],
    'silu is x / (1 + exp(-x)), also far from 0');
SELECT throws_ok(
    $$SELECT llm.swiglu('\x00000000', '\x0000000000000000')$$,
    '22023', NULL, 'two sizes are an error');
SELECT throws_ok(
    $$SELECT llm.swiglu('\x0000', '\x0000')$$,
    '22023', NULL, 'half a number is an error');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT llm.swiglu(NULL::bytea, NULL::bytea)', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
