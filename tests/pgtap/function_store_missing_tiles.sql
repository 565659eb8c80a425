BEGIN;
SELECT plan(5);

SET LOCAL ROLE llm_loader;
INSERT INTO llm_store.upload (content) VALUES ('here');
SELECT results_eq(
    $$SELECT llm_store.missing_tiles(ARRAY[sha256('here'), sha256('there'), sha256('there')])$$,
    $$SELECT sha256('there')$$,
    'what is not stored is told once');
SELECT is_empty('SELECT llm_store.missing_tiles(NULL)', 'NULL gives no rows');
SELECT is_empty('SELECT llm_store.missing_tiles(''{}'')', 'nothing gives nothing');
SELECT is_empty('SELECT llm_store.missing_tiles(ARRAY[NULL::bytea])', 'a NULL is no tile');
SET LOCAL ROLE llm_user;
SELECT throws_ok('SELECT llm_store.missing_tiles(NULL)', '42501', NULL, 'a user may not ask');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
