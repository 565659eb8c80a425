-- Verify hartonomous:function_hilbert_decode_2d on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT llm_atoms.hilbert_decode_2d(3, 1) = (1::bigint, 0::bigint);
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm_atoms.hilbert_decode_2d(bigint, integer)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_atoms.hilbert_decode_2d(bigint, integer)', 'EXECUTE');
END
$verify$;

ROLLBACK;
