-- Revert hartonomous:python_runtime_server from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.server__streams();
DROP FUNCTION llm_runtime.server__statement_clock();
DROP FUNCTION llm_runtime.server__sql_errors();
DROP FUNCTION llm_runtime.server__spi();
DROP FUNCTION llm_runtime.server__settings();
DROP FUNCTION llm_runtime.server__server_variables();
DROP FUNCTION llm_runtime.server__module_files();
DROP FUNCTION llm_runtime.server__messages();
DROP FUNCTION llm_runtime.server__interrupts();
DROP FUNCTION llm_runtime.server__errors();
DROP FUNCTION llm_runtime.server__database();
DROP FUNCTION llm_runtime.server__connection();
DROP FUNCTION llm_runtime.server__ceilings();
DROP FUNCTION llm_runtime.server__background();
DROP FUNCTION llm_runtime.server__arguments();

COMMIT;
