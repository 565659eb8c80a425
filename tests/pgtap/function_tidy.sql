BEGIN;
SELECT plan(6);

SELECT ok(llm.tidy('date', NULL) IS NULL, 'the value NULL gives NULL');
SELECT ok(llm.tidy(NULL, '1 May 2024') IS NULL, 'the kind NULL gives NULL');
SELECT ok(llm.tidy('date', repeat('1', 101)) IS NULL, 'a long value cannot be read');
SELECT throws_ok(
    'SELECT llm.tidy(''colour'', ''red'')', '22023', 'there is no kind "colour" of values', 'no other kinds');
SELECT throws_ok(
    'SELECT llm.tidy(''date'', ''1 May 2024'', ''nobody'')', '42704', NULL, 'the model has to be there');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT llm.tidy(''date'', ''1 May 2024'')', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
