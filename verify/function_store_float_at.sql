-- Verify hartonomous:function_store_float_at on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm_store.float_at(bytea, integer)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_store.float_at(bytea, integer)', 'EXECUTE');
    ASSERT llm_store.float_at('\x000000000000c03f'::bytea, 1) = 1.5::real;
END
$verify$;

ROLLBACK;
