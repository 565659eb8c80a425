-- Verify hartonomous:function_store_numbers_below on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm_store.numbers_below(bigint)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_store.numbers_below(bigint)', 'EXECUTE');
    ASSERT ARRAY(SELECT b.n FROM llm_store.numbers_below(3) AS b ORDER BY b.n) = ARRAY[0, 1, 2];
END
$verify$;

ROLLBACK;
