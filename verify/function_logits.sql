-- Verify hartonomous:function_logits on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm.logits(integer[], text)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm.logits(integer[], text)', 'EXECUTE');
END
$verify$;

ROLLBACK;
