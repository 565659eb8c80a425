-- Verify hartonomous:function_hilbert_keys on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT llm_atoms.hilbert_keys(public.st_makepoint(8388608, 8388608, 8388608, 8388608.004))
        = (0::bigint, 0::bigint, 1::bigint);
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm_atoms.hilbert_keys(public.geometry)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_atoms.hilbert_keys(public.geometry)', 'EXECUTE');
END
$verify$;

ROLLBACK;
