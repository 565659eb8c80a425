-- Verify hartonomous:function_scale_tensor on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege(
        'llm_loader', 'llm.scale_tensor(text, text, double precision)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege(
        'llm_user', 'llm.scale_tensor(text, text, double precision)', 'EXECUTE');
END
$verify$;

ROLLBACK;
