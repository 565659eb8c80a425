-- Verify hartonomous:function_compose on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT NOT EXISTS (SELECT FROM llm_atoms.compose(''));
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm_atoms.compose(bytea)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_atoms.compose(bytea)', 'EXECUTE');
END
$verify$;

ROLLBACK;
