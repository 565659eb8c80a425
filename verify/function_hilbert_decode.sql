-- Verify hartonomous:function_hilbert_decode on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT llm_atoms.hilbert_decode(7865, 3, 5) = '{5, 10, 20}';
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm_atoms.hilbert_decode(numeric, integer, integer)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_atoms.hilbert_decode(numeric, integer, integer)', 'EXECUTE');
END
$verify$;

ROLLBACK;
