-- Verify hartonomous:function_swiglu on pg

BEGIN;
SET LOCAL client_min_messages = warning;  -- before llm.warm_up() a NOTICE says that numpy computes

DO $verify$
BEGIN
    ASSERT llm.swiglu('\x00000000', '\x0000803f') = '\x00000000';
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm.swiglu(bytea, bytea)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm.swiglu(bytea, bytea)', 'EXECUTE');
END
$verify$;

ROLLBACK;
