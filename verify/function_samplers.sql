-- Verify hartonomous:function_samplers on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT (SELECT s.given_as = 'argument' AND s.largest = 1 FROM llm.samplers() AS s WHERE s.name = 'top_p');
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm.samplers()', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm.samplers()', 'EXECUTE');
END
$verify$;

ROLLBACK;
