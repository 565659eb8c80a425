-- Verify hartonomous:function_store_embed_many_rows on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm_store.embed_many_rows(text[], text, text)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_store.embed_many_rows(text[], text, text)', 'EXECUTE');
END
$verify$;

ROLLBACK;
