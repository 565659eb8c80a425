-- Verify hartonomous:table_default_model on pg

BEGIN;

SELECT
    kind,
    model_id
FROM llm_store.default_model
WHERE FALSE;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_table_privilege('llm_user', 'llm_store.default_model', 'SELECT');
    ASSERT NOT pg_catalog.has_table_privilege('llm_user', 'llm_store.default_model', 'INSERT, UPDATE, DELETE');
    ASSERT NOT pg_catalog.has_table_privilege('llm_loader', 'llm_store.default_model', 'DELETE');
    ASSERT (SELECT c.relrowsecurity FROM pg_catalog.pg_class AS c WHERE c.oid = 'llm_store.default_model'::regclass);
END
$verify$;

ROLLBACK;
