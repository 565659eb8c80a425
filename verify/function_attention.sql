-- Verify hartonomous:function_attention on pg

BEGIN;

DO $verify$
DECLARE
    f CONSTANT regprocedure := 'llm.attention(bytea, bytea, bytea, bigint, integer, integer[], text)';
    computed CONSTANT regprocedure := 'llm_runtime.attention(bytea, bytea, bytea, bigint, integer, integer[], text)';
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', f, 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', f, 'EXECUTE');
    ASSERT pg_catalog.has_function_privilege('llm_user', computed, 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', computed, 'EXECUTE');
END
$verify$;

ROLLBACK;
