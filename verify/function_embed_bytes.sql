-- Verify hartonomous:function_embed_bytes on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT llm.embed_bytes(NULL) IS NULL;
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm.embed_bytes(text, text, text)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm.embed_bytes(text, text, text)', 'EXECUTE');
END
$verify$;

ROLLBACK;
