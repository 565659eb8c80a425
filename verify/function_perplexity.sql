-- Verify hartonomous:function_perplexity on pg

BEGIN;

DO $verify$
DECLARE
    f CONSTANT regprocedure := 'llm.perplexity(text, text)';
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', f, 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', f, 'EXECUTE');
END
$verify$;

ROLLBACK;
