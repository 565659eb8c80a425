-- Verify hartonomous:function_similarity on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT llm.similarity('{3,4}'::real[], '{4,3}'::real[]) = 0.96;
    ASSERT llm.similarity('\x0000803f00000000'::bytea, '\x000000000000803f'::bytea) = 0;
    ASSERT llm.similarity('text', NULL) IS NULL, 'what has no type is a text';
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm.similarity(text, text, text)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm.similarity(text, text, text)', 'EXECUTE');
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm.similarity(double precision[], double precision[])', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm.similarity(double precision[], double precision[])', 'EXECUTE');
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm.similarity(bytea, bytea)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm.similarity(bytea, bytea)', 'EXECUTE');
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm_runtime.similarity(double precision[], double precision[])', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_runtime.similarity(double precision[], double precision[])', 'EXECUTE');
END
$verify$;

ROLLBACK;
