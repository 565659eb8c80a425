-- Verify hartonomous:function_add on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT llm.add('\x0000803f', '\x0000803f') = '\x00000040';
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm.add(bytea, bytea)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm.add(bytea, bytea)', 'EXECUTE');
END
$verify$;

ROLLBACK;
