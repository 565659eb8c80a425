-- Verify hartonomous:function_hilbert_decode_2d on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT llm.hilbert_decode_2d(3, 1) = (1::bigint, 0::bigint);
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm.hilbert_decode_2d(bigint, integer)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm.hilbert_decode_2d(bigint, integer)', 'EXECUTE');
END
$verify$;

ROLLBACK;
