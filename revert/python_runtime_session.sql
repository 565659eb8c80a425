-- Revert hartonomous:python_runtime_session from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.session__search_matrices();
DROP FUNCTION llm_runtime.session__prefixes();
DROP FUNCTION llm_runtime.session__models();
DROP FUNCTION llm_runtime.session__model();
DROP FUNCTION llm_runtime.session__kv_handles();
DROP FUNCTION llm_runtime.session__engines();
DROP FUNCTION llm_runtime.session__drafts();
DROP FUNCTION llm_runtime.session__admission();

COMMIT;
