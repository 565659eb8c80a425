-- Verify hartonomous:function_store_chunk_rows on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm_store.chunk_rows(text, text, integer, integer)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_store.chunk_rows(text, text, integer, integer)', 'EXECUTE');
END
$verify$;

ROLLBACK;
