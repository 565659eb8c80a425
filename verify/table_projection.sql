-- Verify hartonomous:table_projection on pg

BEGIN;

SELECT
tensor_hash,
explained,
units,
created_at
FROM llm_store.projection WHERE FALSE;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_table_privilege('llm_user', 'llm_store.projection', 'SELECT');
    ASSERT NOT pg_catalog.has_table_privilege('llm_loader', 'llm_store.projection', 'INSERT, UPDATE, DELETE');
    ASSERT NOT pg_catalog.has_table_privilege('public', 'llm_store.projection', 'SELECT');
END
$verify$;

ROLLBACK;
