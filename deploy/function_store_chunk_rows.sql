-- Deploy hartonomous:function_store_chunk_rows to pg
-- requires: schema_llm_store, function_runtime_boot, function_runtime_run_limits, function_runtime_call_limits, table_model_tensor

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.chunk_rows(text text, model text, tokens integer, overlap integer)
RETURNS TABLE (ordinal integer, chunk text, first integer, token_count integer, failure text)
LANGUAGE plpython3u
STABLE
PARALLEL UNSAFE
COST 10000
ROWS 20
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.chunking.chunk(text, model, tokens, overlap)
$python$;

REVOKE ALL ON FUNCTION llm_store.chunk_rows(text, text, integer, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.chunk_rows(text, text, integer, integer) TO llm_user;
COMMENT ON FUNCTION llm_store.chunk_rows(text, text, integer, integer) IS
'Computes the rows of llm.chunk one by one. If an error ends them, the last row has it in the column failure, for '
'llm_store.raise_late.';

COMMIT;
