-- Verify hartonomous:view_settings on pg

BEGIN;

SELECT
name,
value,
unit,
"default", -- noqa: RF06
meaning
FROM llm.settings
WHERE FALSE;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_table_privilege('llm_user', 'llm.settings', 'SELECT');
    ASSERT NOT pg_catalog.has_table_privilege('public', 'llm.settings', 'SELECT');
END
$verify$;

ROLLBACK;
