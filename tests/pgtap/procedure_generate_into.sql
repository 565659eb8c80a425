BEGIN;
SELECT plan(3);

SELECT throws_ok(
    'CALL llm.generate_into(NULL, NULL)', '22023', 'llm: argument query does not fit', 'a query is needed');
SELECT throws_ok(
    $$CALL llm.generate_into('SELECT 1, 2', 'pg_catalog.pg_class')$$,
    '22023', 'llm: table pg_class has no column id', 'the table needs the columns that are written');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('CALL llm.generate_into(NULL, NULL)', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
