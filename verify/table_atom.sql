-- Verify hartonomous:table_atom on pg

BEGIN;

SELECT
h_xy,
h_yz,
h_zm,
geom,
modality,
content_hash,
content
FROM llm_store.atom
WHERE FALSE;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_table_privilege('llm_user', 'llm_store.atom', 'SELECT');
    ASSERT NOT pg_catalog.has_table_privilege('llm_loader', 'llm_store.atom', 'INSERT, UPDATE, DELETE');
    ASSERT NOT pg_catalog.has_table_privilege('public', 'llm_store.atom', 'SELECT');
END
$verify$;

ROLLBACK;
