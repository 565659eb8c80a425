BEGIN;
SELECT plan(3);

SELECT is(
    llm_runtime.release(),
    (
        SELECT encode(sha256(convert_to(string_agg(
            encode(sha256(convert_to(p.prosrc, 'UTF8')), 'hex') || '  ' || p.proname || E'\n',
            '' ORDER BY p.proname COLLATE pg_catalog."C"), 'UTF8')), 'hex')
        FROM pg_catalog.pg_proc AS p
        WHERE p.pronamespace = 'llm_runtime'::regnamespace
            AND p.prolang = (SELECT l.oid FROM pg_catalog.pg_language AS l WHERE l.lanname = 'plpython3u')
            AND p.prorettype = 'void'::regtype AND p.pronargs = 0
    ),
    'it is the hash over the modules that are there');
SELECT ok(has_function_privilege('llm_user', 'llm_runtime.release()', 'EXECUTE'), 'llm_user may ask for it');
CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT llm_runtime.release()', '42501', NULL, 'a role without rights may not ask for it');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
