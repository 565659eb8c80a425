-- Verify hartonomous:function_store_code_lines on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT (SELECT sum(l.last_code - l.first_code + 1) FROM llm_store.code_lines() AS l) = 2 * 65536 + 256 + 6 * 16;
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm_store.code_lines()', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_store.code_lines()', 'EXECUTE');
END
$verify$;

ROLLBACK;
