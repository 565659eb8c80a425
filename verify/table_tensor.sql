-- Verify hartonomous:table_tensor on pg

BEGIN;

SELECT
hash,
type,
shape,
rows_per_tile,
bytes
FROM llm_store.tensor WHERE FALSE;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_table_privilege('llm_user', 'llm_store.tensor', 'SELECT');
    ASSERT NOT pg_catalog.has_table_privilege('llm_loader', 'llm_store.tensor', 'INSERT');
    ASSERT NOT pg_catalog.has_table_privilege('llm_loader', 'llm_store.tensor', 'DELETE');
END
$verify$;

ROLLBACK;
