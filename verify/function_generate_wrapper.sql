-- Verify hartonomous:function_generate_wrapper on pg

BEGIN;

SELECT 1 / (
    f.proowner = 'llm_owner'::regrole
    AND pg_catalog.has_function_privilege('llm_user', f.oid, 'EXECUTE')
    AND NOT pg_catalog.has_function_privilege('public', f.oid, 'EXECUTE')
)::integer AS verified
FROM pg_catalog.pg_proc AS f
WHERE f.oid = pg_catalog.format('%I.generate(text)', :'generate_schema')::regprocedure;

ROLLBACK;
