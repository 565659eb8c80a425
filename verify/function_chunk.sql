-- Verify hartonomous:function_chunk on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT NOT EXISTS (SELECT FROM llm.chunk(NULL));
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm.chunk(text, text, integer, integer)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm.chunk(text, text, integer, integer)', 'EXECUTE');
END
$verify$;

ROLLBACK;
