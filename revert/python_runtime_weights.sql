-- Revert hartonomous:python_runtime_weights from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.weights__tensors();
DROP FUNCTION llm_runtime.weights__tensor_groups();
DROP FUNCTION llm_runtime.weights__shared();
DROP FUNCTION llm_runtime.weights__packed_model();
DROP FUNCTION llm_runtime.weights__packed_files();
DROP FUNCTION llm_runtime.weights__address_space();

COMMIT;
