-- Verify hartonomous:function_count_tokens on pg

BEGIN;

DO $verify$
DECLARE
    f CONSTANT regprocedure := 'llm.count_tokens(text, text, boolean)';
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', f, 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', f, 'EXECUTE');
END
$verify$;

ROLLBACK;
