-- Verify hartonomous:function_packed_tensors on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm.packed_tensors()', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm.packed_tensors()', 'EXECUTE');
    ASSERT (SELECT count(*) FROM llm.packed_tensors() AS p WHERE p.bytes IS NULL) = 0;
END
$verify$;

ROLLBACK;
