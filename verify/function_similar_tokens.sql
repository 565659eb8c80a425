-- Verify hartonomous:function_similar_tokens on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm.similar_tokens(text, integer, text)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm.similar_tokens(text, integer, text)', 'EXECUTE');
END
$verify$;

ROLLBACK;
