-- Verify hartonomous:function_next_tokens on pg

BEGIN;

DO $verify$
DECLARE
    f CONSTANT regprocedure := 'llm.next_tokens(text, integer, text)';
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', f, 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', f, 'EXECUTE');
END
$verify$;

ROLLBACK;
