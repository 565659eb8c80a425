-- Deploy hartonomous:function_store_logits_rows to pg
-- requires: schema_llm_store, function_runtime_boot, function_runtime_run_limits, function_runtime_call_limits, table_model_tensor

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.logits_rows(tokens integer[], model text)
RETURNS TABLE ("position" integer, logits bytea, failure text) -- noqa: RF06
LANGUAGE plpython3u
VOLATILE
PARALLEL UNSAFE
COST 10000
ROWS 100
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.scoring.logits(tokens, model)
$python$;

REVOKE ALL ON FUNCTION llm_store.logits_rows(integer[], text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.logits_rows(integer[], text) TO llm_user;
COMMENT ON FUNCTION llm_store.logits_rows(integer[], text) IS
'Computes the rows of llm.logits one by one. If an error ends them, the last row has it in the column failure, for '
'llm_store.raise_late.';

COMMIT;
