-- Verify hartonomous:function_store_atomise on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT llm_store.atomise(-1) = (0::bigint, 0::bigint);
    ASSERT pg_catalog.has_function_privilege('llm_loader', 'llm_store.atomise(integer)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('llm_user', 'llm_store.atomise(integer)', 'EXECUTE');
END
$verify$;

ROLLBACK;
