-- Verify hartonomous:function_fork on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_loader', 'llm.fork(text, text)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('llm_user', 'llm.fork(text, text)', 'EXECUTE');
END
$verify$;

ROLLBACK;
