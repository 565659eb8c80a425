-- Verify hartonomous:function_prune on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_loader', 'llm.prune(text, double precision, text)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('llm_user', 'llm.prune(text, double precision, text)', 'EXECUTE');
END
$verify$;

ROLLBACK;
