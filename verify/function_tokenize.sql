-- Verify hartonomous:function_tokenize on pg

BEGIN;

DO $verify$
DECLARE
    f CONSTANT regprocedure := 'llm.tokenize(text, text, boolean, boolean)';
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', f, 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', f, 'EXECUTE');
END
$verify$;

ROLLBACK;
