-- Verify hartonomous:function_pack on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm.pack(text)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm.pack(text)', 'EXECUTE');
    ASSERT NOT (SELECT p.prosecdef FROM pg_catalog.pg_proc AS p WHERE p.oid = 'llm.pack(text)'::regprocedure);
END
$verify$;

ROLLBACK;
