-- Verify hartonomous:function_store_pack_model on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm_store.pack_model(bytea, text)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_store.pack_model(bytea, text)', 'EXECUTE');
    ASSERT (SELECT p.prosecdef FROM pg_catalog.pg_proc AS p WHERE p.oid = 'llm_store.pack_model(bytea, text)'::regprocedure);
END
$verify$;

ROLLBACK;
