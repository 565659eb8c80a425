-- Revert hartonomous:python_runtime_reference from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.reference__operators();
DROP FUNCTION llm_runtime.reference__encoder();
DROP FUNCTION llm_runtime.reference__decoder();
DROP FUNCTION llm_runtime.reference__composed();

COMMIT;
