-- Verify hartonomous:function_engine on pg

BEGIN;
SET LOCAL client_min_messages = warning;  -- before llm.warm_up() a NOTICE says that numpy computes

DO $verify$
BEGIN
    ASSERT llm.engine() ~ '^(numpy|compiled) ';
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm.engine()', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm.engine()', 'EXECUTE');
END
$verify$;

ROLLBACK;
