BEGIN;
SELECT plan(3);

SELECT col_is_pk('llm_store', 'number', ARRAY['n'], 'a number is found by index');
SELECT is(
    (SELECT sum(n) FROM llm_store.number), 262143::bigint * 262144 / 2, 'the numbers from 0 to 262,143 add up');
SELECT table_privs_are('llm_store', 'number', 'llm_loader', ARRAY['SELECT'], 'nobody changes them');

SELECT * FROM finish();
ROLLBACK;
