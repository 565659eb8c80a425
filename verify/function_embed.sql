-- Verify hartonomous:function_embed on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT llm.embed(NULL) IS NULL;
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm.embed(text, text, text)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm.embed(text, text, text)', 'EXECUTE');
END
$verify$;

ROLLBACK;
