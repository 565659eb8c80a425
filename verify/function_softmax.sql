-- Verify hartonomous:function_softmax on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT llm.softmax('\x0000000000000000') = '\x0000003f0000003f';
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm.softmax(bytea, integer)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm.softmax(bytea, integer)', 'EXECUTE');
END
$verify$;

ROLLBACK;
