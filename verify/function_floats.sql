-- Verify hartonomous:function_floats on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT llm.floats('\x0000803f000000c0') = ARRAY[1, -2]::real[];
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm.floats(bytea)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm.floats(bytea)', 'EXECUTE');
END
$verify$;

ROLLBACK;
