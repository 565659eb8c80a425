-- Deploy hartonomous:function_store_embed_many_rows to pg
-- requires: schema_llm_store, function_runtime_boot, function_runtime_run_limits, function_runtime_call_limits, table_model_tensor

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION llm_store.embed_many_rows(texts text[], model text, pooling text)
RETURNS TABLE (ordinal integer, embedding bytea, failure text)
LANGUAGE plpython3u
STABLE
PARALLEL UNSAFE
COST 10000
ROWS 100
AS $python$
llm = GD.get('llm') or plpy.execute('SELECT llm_runtime.boot()') and GD['llm']
return llm.embeddings.embed_many(texts, model, pooling)
$python$;

REVOKE ALL ON FUNCTION llm_store.embed_many_rows(text[], text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llm_store.embed_many_rows(text[], text, text) TO llm_user;
COMMENT ON FUNCTION llm_store.embed_many_rows(text[], text, text) IS
'Computes the rows of llm.embed_many one by one. If an error ends them, the last row has it in the column failure, '
'for llm_store.raise_late.';

COMMIT;
