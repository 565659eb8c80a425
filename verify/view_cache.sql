-- Verify hartonomous:view_cache on pg

BEGIN;

SELECT
model,
tensors,
of_tensors,
bytes,
built,
last_used
FROM llm.cache
WHERE FALSE;

DO $verify$
BEGIN
    ASSERT (SELECT count(*) FROM llm.cache AS c WHERE c.bytes IS NULL) = 0;
    ASSERT pg_catalog.has_table_privilege('llm_user', 'llm.cache', 'SELECT');
    ASSERT NOT pg_catalog.has_table_privilege('public', 'llm.cache', 'SELECT');
END
$verify$;

ROLLBACK;
