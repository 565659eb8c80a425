-- Verify hartonomous:table_model_code on pg

BEGIN;

SELECT
model_id,
type,
code_bits
FROM llm_store.model_code
WHERE FALSE;

DO $verify$
BEGIN
    ASSERT (SELECT c.relrowsecurity FROM pg_catalog.pg_class AS c WHERE c.oid = 'llm_store.model_code'::regclass);
    ASSERT pg_catalog.has_table_privilege('llm_user', 'llm_store.model_code', 'SELECT');
    ASSERT NOT pg_catalog.has_table_privilege('llm_loader', 'llm_store.model_code', 'INSERT, UPDATE, DELETE');
    ASSERT NOT pg_catalog.has_table_privilege('public', 'llm_store.model_code', 'SELECT');
END
$verify$;

ROLLBACK;
