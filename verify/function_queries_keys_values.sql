-- Verify hartonomous:function_queries_keys_values on pg

BEGIN;

DO $verify$
DECLARE
    f CONSTANT regprocedure := 'llm.queries_keys_values(bytea, integer, integer[], text)';
    computed CONSTANT regprocedure := 'llm_runtime.queries_keys_values(bytea, integer, integer[], text)';
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', f, 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', f, 'EXECUTE');
    ASSERT pg_catalog.has_function_privilege('llm_user', computed, 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', computed, 'EXECUTE');
END
$verify$;

ROLLBACK;
