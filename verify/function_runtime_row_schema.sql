-- Verify hartonomous:function_runtime_row_schema on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm_runtime.row_schema(oid, integer, integer)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_runtime.row_schema(oid, integer, integer)', 'EXECUTE');
    ASSERT llm_runtime.row_schema('boolean'::regtype) = '{"type": "boolean"}';
END
$verify$;

ROLLBACK;
