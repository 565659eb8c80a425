-- Verify hartonomous:function_embed_many on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT NOT EXISTS (SELECT FROM llm.embed_many(NULL));
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm.embed_many(text[], text, text)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm.embed_many(text[], text, text)', 'EXECUTE');
END
$verify$;

ROLLBACK;
