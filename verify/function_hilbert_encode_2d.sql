-- Verify hartonomous:function_hilbert_encode_2d on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT llm_atoms.hilbert_encode_2d(1, 0, 1) = 3;
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm_atoms.hilbert_encode_2d(bigint, bigint, integer)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_atoms.hilbert_encode_2d(bigint, bigint, integer)', 'EXECUTE');
END
$verify$;

ROLLBACK;
