-- Verify hartonomous:function_store_forward_tokens on pg

BEGIN;

DO $verify$
DECLARE
    f CONSTANT regprocedure := 'llm_store.forward_tokens(integer[], bigint, integer, text)';
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', f, 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', f, 'EXECUTE');
END
$verify$;

ROLLBACK;
