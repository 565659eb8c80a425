-- Revert hartonomous:python_runtime_engine from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.engine__warm_up();
DROP FUNCTION llm_runtime.engine__steps();
DROP FUNCTION llm_runtime.engine__operator_entries();
DROP FUNCTION llm_runtime.engine__kv_cache();
DROP FUNCTION llm_runtime.engine__encoder_pass();
DROP FUNCTION llm_runtime.engine__encoder();
DROP FUNCTION llm_runtime.engine__decoder_pass();
DROP FUNCTION llm_runtime.engine__decoder();
DROP FUNCTION llm_runtime.engine__composed();
DROP FUNCTION llm_runtime.engine__calibration();

COMMIT;
