BEGIN;
SELECT plan(4);

SELECT is(
    (SELECT array_to_string(proargnames, ' ') FROM pg_proc WHERE oid = 'llm_runtime.call_limits()'::regprocedure),
    'kv_cache_mb batch_mb search_mb max_tokens seconds text_mb piece_mb elements activation_mb',
    'it has a limit for each thing that a user can make grow'
);
SELECT ok(
    least(
        l.kv_cache_mb, l.batch_mb, l.search_mb, l.max_tokens, l.seconds, l.text_mb, l.piece_mb, l.elements,
        l.activation_mb
    ) > 0, 'no limit is nothing at all'
)
FROM llm_runtime.call_limits() AS l;

SET LOCAL ROLE llm_user;
SELECT throws_ok(
    $$CREATE OR REPLACE FUNCTION llm_runtime.call_limits() RETURNS integer LANGUAGE sql AS 'SELECT 1'$$,
    '42501', NULL, 'a user may not replace it'
);
RESET ROLE;
CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT * FROM llm_runtime.call_limits()', '42501', NULL, 'a role without rights may not read it');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
