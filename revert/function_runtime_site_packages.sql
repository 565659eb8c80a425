-- Revert hartonomous:function_runtime_site_packages from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.site_packages();

COMMIT;
