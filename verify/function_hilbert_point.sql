-- Verify hartonomous:function_hilbert_point on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT public.st_asewkt(llm_atoms.hilbert_point(0, 0, 1))
        = 'SRID=3857;POINT(8388608.001953125 8388608.001953125 8388608.001953125 8388608.005859375)';
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm_atoms.hilbert_point(bigint, bigint, bigint)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_atoms.hilbert_point(bigint, bigint, bigint)', 'EXECUTE');
END
$verify$;

ROLLBACK;
