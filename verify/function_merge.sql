-- Verify hartonomous:function_merge on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege(
        'llm_loader', 'llm.merge(text[], text, double precision[], text, text, double precision, double precision)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege(
        'llm_user', 'llm.merge(text[], text, double precision[], text, text, double precision, double precision)', 'EXECUTE');
END
$verify$;

ROLLBACK;
