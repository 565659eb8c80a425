-- Revert hartonomous:function_generate_wrapper from pg

-- Found by what it is, so that it goes from whichever schema it was deployed in.
BEGIN;
SET LOCAL lock_timeout = '5s';

DO $revert$
DECLARE
    wrapper regprocedure;
BEGIN
    SELECT p.oid::regprocedure INTO STRICT wrapper
    FROM pg_catalog.pg_proc AS p
    INNER JOIN pg_catalog.pg_depend AS d
        ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
        AND d.refclassid = 'pg_proc'::regclass AND d.refobjid = 'llm.generate'::regproc
    WHERE p.proname = 'generate' AND p.proowner = 'llm_owner'::regrole;
    EXECUTE pg_catalog.format('DROP FUNCTION %s', wrapper);
END
$revert$;

COMMIT;
