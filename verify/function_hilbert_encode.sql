-- Verify hartonomous:function_hilbert_encode on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT llm_atoms.hilbert_encode('{5, 10, 20}', 5) = 7865;
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm_atoms.hilbert_encode(bigint[], integer)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_atoms.hilbert_encode(bigint[], integer)', 'EXECUTE');
END
$verify$;

ROLLBACK;
