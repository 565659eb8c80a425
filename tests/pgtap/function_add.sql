BEGIN;
SELECT plan(4);

SELECT ok(llm.add(NULL, '\x00000000') IS NULL, 'NULL gives NULL');
SELECT is(
    llm.add('\x0000803f0000803f', '\x0000803f00000000'),
    '\x000000400000803f'::bytea,
    '1 + 1 is 2, and 1 + 0 is 1');
SELECT throws_ok(
    $$SELECT llm.add('\x00000000', '\x0000000000000000')$$,
    '22023', NULL, 'two sizes are an error');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT llm.add(NULL::bytea, NULL::bytea)', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
