-- Verify hartonomous:function_search_by_numbers on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT NOT EXISTS (SELECT FROM llm.search(NULL::real[], 'pg_catalog.pg_class'));
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm.search(double precision[], regclass, integer, name)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm.search(double precision[], regclass, integer, name)', 'EXECUTE');
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm_runtime.search(double precision[], regclass, integer, name)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_runtime.search(double precision[], regclass, integer, name)', 'EXECUTE');
END
$verify$;

ROLLBACK;
