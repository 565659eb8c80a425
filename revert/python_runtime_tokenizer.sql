-- Revert hartonomous:python_runtime_tokenizer from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.tokenizer();

COMMIT;
