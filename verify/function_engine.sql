-- Verify hartonomous:function_engine on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT llm.engine() ~ '^(numpy|compiled) ';
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm.engine()', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm.engine()', 'EXECUTE');
END
$verify$;

ROLLBACK;
