-- Verify hartonomous:table_atom_run on pg

BEGIN;

SELECT
tokenizer_id,
part,
number,
content,
starts,
geom
FROM llm_store.atom_run
WHERE FALSE;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_table_privilege('llm_user', 'llm_store.atom_run', 'SELECT');
    ASSERT NOT pg_catalog.has_table_privilege('llm_loader', 'llm_store.atom_run', 'INSERT, UPDATE, DELETE');
    ASSERT NOT pg_catalog.has_table_privilege('public', 'llm_store.atom_run', 'SELECT');
END
$verify$;

ROLLBACK;
