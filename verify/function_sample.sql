-- Verify hartonomous:function_sample on pg

BEGIN;
SET LOCAL client_min_messages = warning;  -- before llm.warm_up() a NOTICE says that numpy computes

DO $verify$
DECLARE
    f CONSTANT regprocedure := 'llm.sample'::regproc::oid;
    computed CONSTANT regprocedure := 'llm_runtime.sample'::regproc::oid;
BEGIN
    ASSERT llm.sample('\x000000000000803f') = 1;
    ASSERT pg_catalog.has_function_privilege('llm_user', f, 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', f, 'EXECUTE');
    ASSERT pg_catalog.has_function_privilege('llm_user', computed, 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', computed, 'EXECUTE');
END
$verify$;

ROLLBACK;
