-- Verify hartonomous:function_store_atomise_part on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT llm_store.atomise_part(-1, 0) = 0;
    ASSERT pg_catalog.has_function_privilege('llm_loader', 'llm_store.atomise_part(integer, integer)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('llm_user', 'llm_store.atomise_part(integer, integer)', 'EXECUTE');
END
$verify$;

ROLLBACK;
