-- Verify hartonomous:function_search on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT NOT EXISTS (SELECT FROM llm.search(NULL::text, 'pg_catalog.pg_class'));
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm.search(text, regclass, integer, text, name)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm.search(text, regclass, integer, text, name)', 'EXECUTE');
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm.search(bytea, regclass, integer, name)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm.search(bytea, regclass, integer, name)', 'EXECUTE');
END
$verify$;

ROLLBACK;
