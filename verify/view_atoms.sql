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
FROM llm.atoms
WHERE FALSE;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_table_privilege('llm_user', 'llm.atoms', 'SELECT');
    ASSERT NOT pg_catalog.has_table_privilege('llm_loader', 'llm.atoms', 'INSERT, UPDATE, DELETE');
    ASSERT NOT pg_catalog.has_table_privilege('public', 'llm.atoms', 'SELECT');
END
$verify$;

ROLLBACK;
