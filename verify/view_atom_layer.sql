-- Verify hartonomous:view_atom_layer on pg

BEGIN;

SELECT
model_id,
layer,
tensors,
ordinal,
hash
FROM llm_store.atom_layer
WHERE FALSE;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_table_privilege('llm_user', 'llm_store.atom_layer', 'SELECT');
    ASSERT NOT pg_catalog.has_table_privilege('llm_loader', 'llm_store.atom_layer', 'INSERT, UPDATE, DELETE');
    ASSERT NOT pg_catalog.has_table_privilege('public', 'llm_store.atom_layer', 'SELECT');
END
$verify$;

ROLLBACK;
