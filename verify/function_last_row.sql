-- Verify hartonomous:function_last_row on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT llm.last_row('\x0000803f00000040', 1) = '\x00000040';
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm.last_row(bytea, integer)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm.last_row(bytea, integer)', 'EXECUTE');
END
$verify$;

ROLLBACK;
