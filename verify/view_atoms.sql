-- Verify hartonomous:view_atoms on pg

BEGIN;

SELECT
h_xy,
h_yz,
h_zm,
geom,
modality,
content_hash,
ref_count,
meta
FROM llm_atoms.atoms
WHERE FALSE;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_table_privilege('llm_user', 'llm_atoms.atoms', 'SELECT');
    ASSERT NOT pg_catalog.has_table_privilege('llm_loader', 'llm_atoms.atoms', 'INSERT, UPDATE, DELETE');
    ASSERT NOT pg_catalog.has_table_privilege('public', 'llm_atoms.atoms', 'SELECT');
END
$verify$;

ROLLBACK;
