-- Verify hartonomous:table_atom_part on pg

BEGIN;

SELECT
tokenizer_id,
part,
tokens,
counts,
steps
FROM llm_store.atom_part
WHERE FALSE;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_table_privilege('llm_user', 'llm_store.atom_part', 'SELECT');
    ASSERT NOT pg_catalog.has_table_privilege('llm_loader', 'llm_store.atom_part', 'INSERT, UPDATE, DELETE');
    ASSERT NOT pg_catalog.has_table_privilege('public', 'llm_store.atom_part', 'SELECT');
END
$verify$;

ROLLBACK;
