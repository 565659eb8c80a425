-- Verify hartonomous:function_set_tensor on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_loader', 'llm.set_tensor(text, text, bytea)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('llm_user', 'llm.set_tensor(text, text, bytea)', 'EXECUTE');
END
$verify$;

ROLLBACK;
