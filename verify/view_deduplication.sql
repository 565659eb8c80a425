-- Verify hartonomous:view_deduplication on pg

BEGIN;

SELECT
code_references,
codes,
references_per_atom,
bytes_presented,
bytes_stored,
bytes_presented_per_stored
FROM llm_atoms.deduplication
WHERE FALSE;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_table_privilege('llm_user', 'llm_atoms.deduplication', 'SELECT');
    ASSERT NOT pg_catalog.has_table_privilege('llm_loader', 'llm_atoms.deduplication', 'INSERT, UPDATE, DELETE');
    ASSERT NOT pg_catalog.has_table_privilege('public', 'llm_atoms.deduplication', 'SELECT');
END
$verify$;

ROLLBACK;
