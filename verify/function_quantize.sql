-- Verify hartonomous:function_quantize on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_loader', 'llm.quantize(text, text, text)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('llm_user', 'llm.quantize(text, text, text)', 'EXECUTE');
END
$verify$;

ROLLBACK;
