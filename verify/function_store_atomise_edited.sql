-- Verify hartonomous:function_store_atomise_edited on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT NOT llm_store.atomise_edited('', '');
    ASSERT pg_catalog.has_function_privilege('llm_loader', 'llm_store.atomise_edited(bytea, bytea)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('llm_user', 'llm_store.atomise_edited(bytea, bytea)', 'EXECUTE');
END
$verify$;

ROLLBACK;
