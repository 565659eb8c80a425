BEGIN;
SELECT plan(3);

SELECT is(llm_store.atomise(-1), (0::bigint, 0::bigint), 'a model that is not there has no atoms');
SELECT is(
    (
        SELECT count(*)
        FROM pg_catalog.pg_locks AS l
        WHERE l.locktype = 'advisory' AND l.mode = 'ShareLock' AND l.pid = pg_backend_pid()
    ),
    1::bigint, 'loads share a lock, which keeps collect_atoms away until they commit');
SET LOCAL ROLE llm_user;
SELECT throws_ok('SELECT llm_store.atomise(1)', '42501', NULL, 'a user may not store atoms');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
