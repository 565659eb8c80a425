-- Verify hartonomous:function_bytes on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT llm.bytes(ARRAY[1, -2]) = '\x0000803f000000c0';
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm.bytes(double precision[])', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm.bytes(double precision[])', 'EXECUTE');
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm_runtime.bytes(double precision[])', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_runtime.bytes(double precision[])', 'EXECUTE');
END
$verify$;

ROLLBACK;
