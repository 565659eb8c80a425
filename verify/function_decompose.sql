-- Verify hartonomous:function_decompose on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT NOT EXISTS (SELECT FROM llm_atoms.decompose(''));
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm_atoms.decompose(bytea)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_atoms.decompose(bytea)', 'EXECUTE');
END
$verify$;

ROLLBACK;
