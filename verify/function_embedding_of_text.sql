-- Verify hartonomous:function_embedding_of_text on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm.embedding(text, text)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm.embedding(text, text)', 'EXECUTE');
END
$verify$;

ROLLBACK;
