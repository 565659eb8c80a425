-- Verify hartonomous:function_set_row on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_loader', 'llm.set_row(text, text, integer, bytea)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('llm_user', 'llm.set_row(text, text, integer, bytea)', 'EXECUTE');
END
$verify$;

ROLLBACK;
