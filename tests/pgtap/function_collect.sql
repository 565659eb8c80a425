BEGIN;
SELECT plan(3);

SELECT is(
    (SELECT prokind::text FROM pg_catalog.pg_proc WHERE oid = 'llm.collect(interval)'::regprocedure), 'p',
    'it is a procedure, which commits as it goes');
SELECT throws_ok(
    $$CALL llm.collect('-1 day')$$, '22023', 'grace must not be NULL or negative', 'grace is not negative');
SELECT throws_ok($$CALL llm.collect()$$, '2D000', NULL, 'inside a transaction it cannot commit');

SELECT * FROM finish();
ROLLBACK;
