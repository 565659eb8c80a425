-- Verify hartonomous:table_number on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT (
        SELECT count(*) = 262144 AND min(number.n) = 0 AND max(number.n) = 262143 FROM llm_store.number
    ), 'every number is there';
    ASSERT pg_catalog.has_table_privilege('llm_user', 'llm_store.number', 'SELECT');
    ASSERT NOT pg_catalog.has_table_privilege('llm_loader', 'llm_store.number', 'INSERT, UPDATE, DELETE');
END
$verify$;

ROLLBACK;
