-- Verify hartonomous:function_store_row_content on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT llm_store.row_content('no tensor', 0, 1, 4) IS NULL;
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm_store.row_content(bytea, integer, integer, bigint)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_store.row_content(bytea, integer, integer, bigint)', 'EXECUTE');
END
$verify$;

ROLLBACK;
