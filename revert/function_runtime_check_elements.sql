-- Revert hartonomous:function_runtime_check_elements from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.check_texts(text[], text);
DROP FUNCTION llm_runtime.check_elements(integer, text);
DROP FUNCTION llm_runtime.check_array(bigint, bigint, text);

COMMIT;
