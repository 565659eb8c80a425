-- Verify hartonomous:function_version on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT llm.version() LIKE 'hartonomous release ' || left(llm_runtime.release(), 16) || ', Python 3%, numpy %';
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm.version()', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm.version()', 'EXECUTE');
END
$verify$;

ROLLBACK;
