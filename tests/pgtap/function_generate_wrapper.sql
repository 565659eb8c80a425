BEGIN;
SELECT plan(3);

-- Its schema is chosen at deploy time, so it is found by its owner.
CREATE FUNCTION pg_temp.call(argument text) RETURNS text LANGUAGE plpgsql AS $function$
DECLARE
    answer text;
BEGIN
    EXECUTE (
        SELECT format('SELECT %s::text', replace(p.oid::regprocedure::text, '(text)', format('(%L)', argument)))
        FROM pg_catalog.pg_proc AS p
        WHERE p.proname = 'generate' AND p.pronargs = 1 AND p.proowner = 'llm_owner'::regrole
    ) INTO answer;
    RETURN answer;
END
$function$;

SELECT ok(pg_temp.call(NULL) IS NULL, 'NULL gives NULL');
SELECT is(
    (
        SELECT concat(p.provolatile, p.proparallel)
        FROM pg_catalog.pg_proc AS p
        WHERE p.proname = 'generate' AND p.pronargs = 1 AND p.proowner = 'llm_owner'::regrole
    ),
    'vu', 'it is volatile and never runs in a parallel worker');

CREATE ROLE stranger;
SET LOCAL ROLE stranger;
SELECT throws_ok('SELECT pg_temp.call(NULL)', '42501', NULL, 'a role without rights may not');
RESET ROLE;

SELECT * FROM finish();
ROLLBACK;
