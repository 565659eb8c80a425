-- Verify hartonomous:table_atom_code_count on pg

BEGIN;

SELECT
tensor_hash,
codes,
counts,
code_bits
FROM llm_store.atom_code_count
WHERE FALSE;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_table_privilege('llm_user', 'llm_store.atom_code_count', 'SELECT');
    ASSERT NOT pg_catalog.has_table_privilege('llm_loader', 'llm_store.atom_code_count', 'INSERT, UPDATE, DELETE');
    ASSERT NOT pg_catalog.has_table_privilege('public', 'llm_store.atom_code_count', 'SELECT');
END
$verify$;

ROLLBACK;
