-- Verify hartonomous:function_swiglu on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT llm.swiglu('\x00000000', '\x0000803f') = '\x00000000';
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm.swiglu(bytea, bytea)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm.swiglu(bytea, bytea)', 'EXECUTE');
END
$verify$;

ROLLBACK;
