-- Verify hartonomous:function_decompose on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT NOT EXISTS (SELECT FROM llm.decompose(''));
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm.decompose(bytea)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm.decompose(bytea)', 'EXECUTE');
END
$verify$;

ROLLBACK;
