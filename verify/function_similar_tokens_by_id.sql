-- Verify hartonomous:function_similar_tokens_by_id on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm.similar_tokens(integer, integer, text)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm.similar_tokens(integer, integer, text)', 'EXECUTE');
END
$verify$;

ROLLBACK;
