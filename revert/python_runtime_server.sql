-- Revert hartonomous:python_runtime_server from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.server__statement_clock();
DROP FUNCTION llm_runtime.server__settings();
DROP FUNCTION llm_runtime.server__errors();
DROP FUNCTION llm_runtime.server__database();
DROP FUNCTION llm_runtime.server__ceilings();
DROP FUNCTION llm_runtime.server__background();
DROP FUNCTION llm_runtime.server__arguments();

COMMIT;
